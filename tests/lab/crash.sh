#!/usr/bin/env bash
# The daemon is killed at every step of a grant, a release, a recall and an upgrade, while breakers run: nothing gets past the gate, and the next daemon's table is exact again.
# Usage in the lab (any kernel, --fs tmpfs): crash.sh RUNS [SEED [FIRST]]; FIRST: also cut the first arming off
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

runs=$1 seed=${2:-$SRANDOM}
# Bounds for software emulation, where a program that does nothing takes up to 1.6 s to start; docs/operations.md has what was measured.
exact_ms=6000
kept=/mnt/hf/kept
mkdir -p /tmp/etc /tmp/state
daemon_start() {
  start daemon holdfastd --config /tmp/etc --state-dir /tmp/state
  hear daemon 'serving'
}
figure() { jq -e ".$1" <<<"$figures"; }
modprobe ib_core # or the daemon has it loaded, and each arming from then on has fewer probes to make
for file in kept granted recalled; do make_file /mnt/hf/$file 1; done

if [ -n "${3:-}" ]; then
  section "the first gate, cut off while it is armed"
  for point in arm.loaded arm.attached arm.new_call arm.call; do
    check "killed at $point" fails 137 '' env HOLDFAST_CRASH_POINT=$point:1 holdfastd --config /tmp/etc --state-dir /tmp/state
    daemon_start
    check "the next one arms it, and it decides" refused holdfast hold $kept -- truncate -s 0 $kept
    daemon_kill
    holdfast gate detach --yes >/dev/null
  done
fi

section "an upgrade that is cut off"
daemon_start
upgrades() { holdfast history --kind daemon --last 100 --json | jq -s 'map(select(.data.what == "gate upgraded")) | length'; }
gate_says() { holdfast status --json | jq -e ".gate | $1"; }
daemon_kill
daemon_start
check "a daemon takes over" gate_says '.took_over and .complete and .trouble == null'
daemon_kill
check "an upgrade is killed" fails 137 '' env HOLDFAST_TEST_UPGRADE=1 HOLDFAST_CRASH_POINT=arm.attached:1 holdfastd --config /tmp/etc --state-dir /tmp/state
check "what stood before is whole" holdfast gate status
daemon_start
check "the next daemon serves by it" gate_says .took_over
check "makes the upgrade again" hear daemon "the gate's programs are now those of"
check "and is complete" gate_says .complete
check "and says so" same 1 "$(upgrades)"
daemon_kill
daemon_start
check "the one after has nothing to make" gate_says '.took_over and .complete'
check "and makes nothing" same 1 "$(upgrades)"
daemon_kill
holdfast gate detach --yes >/dev/null

section "$runs daemons, killed one after the other"
hf-lab-crash --runs "$runs" --seed "$seed" --verbose | tee /tmp/said || :
figures=$(tail -n 1 /tmp/said)
check "all runs were made, and the table was exact after each" test "$(figure runs)" = "$runs" -a "$(figure wrong)" = false
check "nothing got through" test "$(figure openings)" = 0
check "and much was tried" test "$(figure tries)" -gt $((runs * 10))
check "the breakers met nothing else" test "$(figure other_errors)" = 0
check "who holds has lost nothing" test "$(figure leases_lost)" = 0
check "exact within $((exact_ms / 1000)) seconds where the gate is taken over" jq -e ".took_over_worst_ms < $exact_ms" <<<"$figures"
check "and where its programs are to be replaced" jq -e ".upgraded_worst_ms < $exact_ms" <<<"$figures"
[ "$runs" -lt 200 ] || check "every point was met" test "$(figure points)" = 21
conclude
