#!/usr/bin/env bash
# The daemon is killed at every step of a grant, a release, a recall and an upgrade, while breakers run: nothing gets past the gate, and the next daemon's table is exact again.
# Usage in the lab (any kernel, --fs tmpfs): crash.sh RUNS [SEED]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

runs=$1
RANDOM=${2:-$((SRANDOM % 32768))}
echo "seed: ${2:-given by chance}"
kept=/mnt/hf/kept other=/mnt/hf/other third=/mnt/hf/third
mkdir -p /tmp/etc
arming=(arm.loaded arm.hooks_attached arm.attached arm.new_links arm.no_call arm.call arm.no_links arm.links)
serving=(lease.begun lease.part lease.committed lease.ending lease.ended grant.remembered window.opening window.closing recall.held recall.closing recall.closed)
worst_ms=0 worst_upgrade_ms=0
declare -A died=()
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
kernel_leases() { bpftool map dump pinned /sys/fs/bpf/holdfast/maps/hf_leases -j 2>/dev/null | jq length; }

# exact: the one lease whose holder lives, here and in the kernel, and nothing else.
exact() {
  local here
  here=$(holdfast leases --json 2>/dev/null | jq -c '[.files[] | .path, (.leases | length)]') || return 1
  [ "$here" = "[\"$kept\",1]" ] && [ "$(kernel_leases)" = 1 ]
}

# Breakers of the file that is held throughout: they never stop, and count what gets through.
break_on() {
  exec python3 -u - $kept <<'PYTHON'
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
path, tries, opened, running = sys.argv[1], 0, 0, True
def end(*_):
    global running
    running = False
signal.signal(signal.SIGTERM, end)
fd = os.open(path, os.O_RDWR)
print("breaking")
while running:
    tries += 2
    time.sleep(0.002)  # leaves the one processor to those who are tested
    try:
        os.truncate(path, 0)
        opened += 1
    except OSError as error:
        if error.errno != 26: print("truncate:", error)
    if libc.fallocate(fd, 3, 0, 65536) == 0: opened += 1
    elif ctypes.get_errno() != 26: print("punch:", ctypes.get_errno())
print(f"tries {tries} openings {opened}")
PYTHON
}

work() { # what a machine does: grants, releases, a recall with its window
  local patience=$((SECONDS + 60))
  while [ $SECONDS -lt $patience ] && kill -0 "$1" 2>/dev/null; do
    holdfast hold $other --range 0:64K -- true
    holdfast recall $third --wait 1s -- truncate -s 1M $third
  done >/dev/null 2>&1
}

# one_run POINT NTH UPGRADE: a daemon that dies there, then one that must put things right.
one_run() {
  local point=$1 nth=$2 upgrade=$3 victim start took
  if [ "$upgrade" = 1 ]; then
    HOLDFAST_TEST_UPGRADE=1 HOLDFAST_CRASH_POINT=$point:$nth holdfastd --config /tmp/etc --state-dir /tmp/state >/dev/null 2>&1 &
  else
    HOLDFAST_CRASH_POINT=$point:$nth holdfastd --config /tmp/etc --state-dir /tmp/state >/dev/null 2>&1 &
  fi
  victim=$!
  work $victim
  if kill -KILL $victim 2>/dev/null; then died[by-chance]=$((${died[by-chance]:-0} + 1)); else died[$point]=$((${died[$point]:-0} + 1)); fi
  wait $victim 2>/dev/null || :
  start=$(now_ms)
  daemon_start
  until exact; do
    if [ $(($(now_ms) - start)) -gt 30000 ]; then
      holdfast leases
      bpftool map dump pinned /sys/fs/bpf/holdfast/maps/hf_leases
      return 1
    fi
  done
  took=$(($(now_ms) - start))
  if grep -q "armed the gate" "${log_of[daemon]}"; then
    if [ $took -gt $worst_upgrade_ms ]; then worst_upgrade_ms=$took; fi
  elif [ $took -gt $worst_ms ]; then
    worst_ms=$took
  fi
  daemon_kill
}
daemon_start() {
  start daemon holdfastd --config /tmp/etc --state-dir /tmp/state
  hear daemon 'serving'
}

for file in $kept $other $third; do make_file "$file" 1; done
section "the first gate, cut off while it is armed"
for point in arm.loaded arm.attached arm.no_call arm.no_links; do
  check "killed at $point" fails 137 '' env HOLDFAST_CRASH_POINT=$point:1 holdfastd --config /tmp/etc --state-dir /tmp/state
  daemon_start
  check "the next one arms it, and it decides" bash -c "timeout 20 holdfast hold $kept -- bash -c '! truncate -s 0 $kept'"
  daemon_kill
  holdfast gate detach --yes >/dev/null
done

section "$runs daemons, killed one after the other"
daemon_start
start holder holdfast hold $kept
hear holder '^lease '
start breakers break_on
hear breakers breaking
daemon_kill
for ((run = 1; run <= runs; run++)); do
  if [ $((RANDOM % 4)) = 0 ]; then
    point=${arming[RANDOM % ${#arming[@]}]} nth=1 upgrade=1
  else
    point=${serving[RANDOM % ${#serving[@]}]} nth=$((RANDOM % 3 + 1)) upgrade=0
  fi
  if ! one_run "$point" $nth $upgrade; then
    check "run $run: after $point:$nth the table is exact" false
    break
  fi
done
kill -TERM "${pid_of[breakers]}"
hear breakers 'tries [0-9]+ openings [0-9]+'
said=$heard
for point in "${!died[@]}"; do echo "  killed at $point: ${died[$point]}"; done
echo "  runs $((run - 1)), $said, exact after at most $worst_ms ms from the next daemon's start ($worst_upgrade_ms ms where it had to arm anew)"
check "all runs were made" test $((run - 1)) = "$runs"
check "nothing got through" grep -q 'openings 0$' <(echo "$said")
check "and much was tried" test "$(cut -d' ' -f2 <<<"$said")" -gt 100
check "within a second" test $worst_ms -le 1000
check "the breakers met nothing else" not grep -qE '^(truncate|punch):' "${log_of[breakers]}"
conclude
