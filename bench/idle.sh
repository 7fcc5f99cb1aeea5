#!/usr/bin/env bash
# The daemon at rest with 1,000 leases: its wake-ups against those of a process that only sleeps, and its memory against that of auditd.
# Lab: --fs tmpfs --mount size=256M --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

# Of all threads, asked for or not.
switches() { awk '/ctxt_switches/ {sum += $2} END {print sum}' /proc/"$1"/task/*/status; }
mkdir /mnt/hf/elsewhere
holdfast_on
start hold hf-bench-lease /mnt/hf/elsewhere --hold 1000
hear hold '^holding '
sleep 600 & sleeper=$!
# What came of the leases is over when it has been still for five seconds.
until daemon=$(switches "${pid_of[daemon]}") && sleep 5 && [ "$(switches "${pid_of[daemon]}")" = "$daemon" ]; do :; done
for _ in 1 2 3; do
  daemon=$(switches "${pid_of[daemon]}") still=$(switches $sleeper)
  sleep 20 # what is measured is this time
  # One each is added: a ratio wants a baseline that is not 0.
  pair "wake-ups and one, 20 s" times $(($(switches $sleeper) - still + 1)) $(($(switches "${pid_of[daemon]}") - daemon + 1)) 1
done
kill $sleeper
resident() { awk '/^VmRSS/ {print $2}' /proc/"$1"/status; }
if command -v auditd >/dev/null; then
  mkdir -p /var/log/audit
  auditd -n &
  auditd=$!
  until auditctl -s | grep -q "^pid $auditd\$"; do kill -0 $auditd; done
  pair "memory of its own, resident, against auditd's" KiB "$(resident $auditd)" "$(resident "${pid_of[daemon]}")"
  kill $auditd
fi
