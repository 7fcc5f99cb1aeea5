#!/usr/bin/env bash
# The daemon is killed at every step of a grant, a release, a recall and an upgrade, while breakers run: nothing gets past the gate, and the next daemon's table is exact again.
# Usage in the lab (any kernel, --fs tmpfs): crash.sh RUNS [SEED [FIRST]]; FIRST: also cut the first arming off
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

runs=$1 seed=${2:-$SRANDOM}
# Bounds for software emulation, where a program that does nothing takes up to 1.6 s to start; docs/operations.md has what was measured.
exact_ms=6000 armed_ms=20000
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
  for point in arm.loaded arm.attached arm.no_call arm.no_links; do
    check "killed at $point" fails 137 '' env HOLDFAST_CRASH_POINT=$point:1 holdfastd --config /tmp/etc --state-dir /tmp/state
    daemon_start
    check "the next one arms it, and it decides" refused holdfast hold $kept -- truncate -s 0 $kept
    daemon_kill
    holdfast gate detach --yes >/dev/null
  done
fi

section "an upgrade that is cut off"
daemon_start
kept_gate() { holdfast history --kind daemon --last 10 --json | jq -se 'map(select(.data.what == "started")) | last | .data.took_over'; }
daemon_kill
daemon_start
check "a daemon takes over" same true "$(kept_gate)"
daemon_kill
check "an upgrade is killed" fails 137 '' env HOLDFAST_TEST_UPGRADE=1 HOLDFAST_CRASH_POINT=arm.attached:1 holdfastd --config /tmp/etc --state-dir /tmp/state
daemon_start
check "the next daemon makes it again" same false "$(kept_gate)"
daemon_kill
daemon_start
check "and the one after takes over" same true "$(kept_gate)"
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
check "and within $((armed_ms / 1000)) seconds where it is armed anew" jq -e ".armed_worst_ms < $armed_ms" <<<"$figures"
[ "$runs" -lt 200 ] || check "every point was met" test "$(figure points)" = 22
conclude
