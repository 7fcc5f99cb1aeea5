#!/bin/sh
# Looks at every state of the model, prints how many there are, and checks that each of the broken models is found out. check.sh [WORK FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
work=${1:-$(mktemp -d)}
command -v spin >/dev/null || { echo "skipped: no spin here"; exit 77; }
mkdir -p "$work"
cd "$work"

# verify NAME PAN-OPTIONS DEFINES...: leaves pan's report in NAME.out.
verify() {
	name=$1 how=$2
	shift 2
	spin "$@" -a "$here/recall.pml" >"$name.spin" 2>&1 || { cat "$name.spin" >&2; exit 1; }
	case $how in
		safety) only='-DSAFETY -DNOCLAIM' ;;
		*) only='' ;;
	esac
	# shellcheck disable=SC2086 # two words
	cc -O2 -w -DNFAIR=3 -DVECTORSZ=1024 $only -o "$name.pan" pan.c
	case $how in
		safety) "./$name.pan" -E -m1000000 -w22 >"$name.out" 2>&1 ;;
		*) "./$name.pan" -a -f -m1000000 -w22 -N recall_ends >"$name.out" 2>&1 ;;
	esac
	grep -q 'errors:' "$name.out" || { cat "$name.out" >&2; exit 1; }
	! grep -q 'max search depth too small' "$name.out" || { echo "$name: the search was cut" >&2; exit 1; }
}
errors() { sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$1.out"; }
states() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$1.out"; }

status=0
rm -f counts
for consent in 0 1; do
	for how in safety liveness; do
		name=$how$consent
		verify "$name" "$how" -DCONSENT=$consent
		printf 'model: %s, escalation %s: %s states, %s errors\n' "$how" "$([ $consent = 1 ] && echo kill || echo fence)" "$(states "$name")" "$(errors "$name")" | tee -a counts
		[ "$(errors "$name")" = 0 ] || { status=1; spin -t -p -DCONSENT=$consent "$here/recall.pml" 2>/dev/null | tail -n 60 >&2 || :; }
	done
done
for bug in 1 2 3 4 5; do
	verify "bug$bug" safety -DCONSENT=0 -DBUG=$bug
	[ "$(errors "bug$bug")" != 0 ] || { echo "model: the broken rule $bug was not found out" >&2; status=1; }
done
[ $status != 0 ] || echo "model: each of 5 broken rules was found out" | tee -a counts
[ -z "${HOLDFAST_COUNTS:-}" ] || { mkdir -p "$HOLDFAST_COUNTS" && cp counts "$HOLDFAST_COUNTS/model"; }
exit $status
