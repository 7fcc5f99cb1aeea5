#!/bin/sh
# The pages format without a warning; each verb of the command, each of its options and each function of the library is described; references lead
# somewhere. check.sh HOLDFAST MAP...
set -eu
holdfast=$1
shift
cd "$(dirname "$0")"
command -v groff >/dev/null || { echo "skipped: no groff here"; exit 77; }
status=0
missing=$(mktemp)
trap 'rm -f "$missing"' EXIT
complain() { echo "$*" >&2; status=1; }

for page in *.[1-8]; do
  warnings=$(groff -mandoc -ww -z -Tutf8 "$page" 2>&1) || complain "$page does not format"
  [ -z "$warnings" ] || complain "$page: $warnings"
  # Our own pages, by name; other projects' are not here to be found.
  sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1.\2/p' "$page" | while read -r reference; do
    case $reference in
      holdfast*|hf_*|libholdfast*) [ -f "$reference" ] || echo "$page refers to $reference" ;;
    esac
  done >"$missing"
  [ ! -s "$missing" ] || complain "$(cat "$missing"), which does not exist"
done

verbs=$("$holdfast" --help | awk '/^Verbs:/ {on = 1; next} /^$/ {on = 0} on {print $1}')
[ -n "$verbs" ] || complain "no verbs in holdfast --help"
for verb in $verbs; do
  if [ ! -f "holdfast-$verb.1" ]; then complain "no page for holdfast $verb"; continue; fi
  grep -q "holdfast-$verb 1" holdfast.1 || complain "holdfast.1 does not name $verb"
  for option in $("$holdfast" "$verb" --help | sed -n 's/^  \(-[a-z],\)\{0,1\}--\([a-z]*\).*/\2/p'); do
    [ "$option" = help ] || grep -q "Fl -$option" "holdfast-$verb.1" || complain "holdfast-$verb.1 does not describe --$option"
  done
done

all=
for map; do
  library=$(basename "$map" .map)
  functions=$(sed -n 's/^[[:space:]]*\(hf_[a-z_]*\);/\1/p' "$map")
  [ -n "$functions" ] || complain "no functions in $map"
  all="$all
$functions"
  for function in $functions; do
    if [ ! -f "$function.3" ]; then complain "no page for $function()"; continue; fi
    grep -q "Xr $function 3" "$library.3" || complain "$library.3 does not name $function()"
    order=$(sed -n 's/^\.Sh \(NAME\|SYNOPSIS\|DESCRIPTION\|RETURN VALUES\|ERRORS\|SEE ALSO\)$/\1/p' "$function.3" | tr '\n' ',')
    [ "$order" = "NAME,SYNOPSIS,DESCRIPTION,RETURN VALUES,ERRORS,SEE ALSO," ] || complain "$function.3 has the sections $order"
  done
done
for page in hf_*.3; do
  echo "$all" | grep -qx "${page%.3}" || complain "$page describes a function that is not exported"
done
exit $status
