#!/usr/bin/env bash
# What must hold although hooks are skipped or a break is under way: the gate without its hints, and leases that begin while a break runs.
# Usage in the lab (--fs xfs): races.sh
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
mkdir -p /mnt/tmpfs
mount -t tmpfs -o size=1400M hf /mnt/tmpfs

in_d_state() { # PID: it waits in the kernel and can't be interrupted; bounded
  local until=$((SECONDS + 30))
  while [ $SECONDS -lt $until ]; do
    case $(cut -d' ' -f3 "/proc/$1/stat") in D) return 0 ;; esac
  done
  return 1
}

section "a break that the gate let pass is still under way"
make_file "$file" 4
daemon_start
# vfs_fallocate() asks the security modules before it waits for a frozen filesystem: so a punch stands between its permission and its work.
fsfreeze -f /mnt/hf
fallocate -p -o 0 -l 1M "$file" &
punch=$!
check "the punch waits for the frozen filesystem" in_d_state $punch
check "no lease is granted on its bytes" fails 125 'under way|again' holdfast hold "$file" --range 0:1M -- true
check "one beside it is granted at once" holdfast hold "$file" --range 2M:1M -- true
fsfreeze -u /mnt/hf
wait $punch && passed=1 || passed=0
check "the punch succeeds" test "$passed" = 1
make_file "$file" 4
check "and once it is through, the lease is granted" holdfast hold "$file" --range 0:1M -- true

section "a registration that begins while a break runs"
# A long punch, and registrations of its bytes while it runs. Each must come out as protected (before it began, after its end) or be told of as raced;
# the first that met it is told of.
raced=0
for _ in $(seq 12); do
  rm -f /mnt/tmpfs/big
  fallocate -l 1G /mnt/tmpfs/big
  dd if=/dev/zero of=/mnt/tmpfs/big bs=1M count=640 conv=notrunc status=none
  start register ip netns exec hfa hf-lab-register --device rxe_a --map /mnt/tmpfs/big:0:4194304 --repeat 1
  fallocate -p -o 0 -l 1G /mnt/tmpfs/big &
  punch=$!
  hear register '"'
  wait $punch && passed=1 || passed=0
  state=$(holdfast registrations --json | jq -r '[.registrations[] | select(.process.comm == "hf-lab-register") | .state + ":" + ([.reasons[]?.reason // .reasons[]?] | map(tostring) | join(","))] | first')
  tell register quit
  ended register
  case $state in
    protected:*) ;;
    unprotected:*raced*) raced=$((raced + 1)) ;;
    *) check "protected, or told of as raced: $state" false ;;
  esac
  # Protected although the punch passed: then the punch was over before the pin, or not begun; if not begun, it was refused.
  [ $raced -gt 0 ] && [ "$passed" = 1 ] && break
done
check "a registration that met a running punch was told of as unprotected" test $raced -gt 0

daemon_kill
holdfast gate detach --yes >/dev/null

section "every hint missed"
# As on a kernel that preempts, where the tracing programs can be skipped: the call stack decides.
make_file "$file" 4
HOLDFAST_TEST_DROP_HINTS=1 start daemon holdfastd
hear daemon 'serving'
start holder holdfast hold "$file" --range 0:2M
hear holder '^lease '
# Refused as well, since a stack has no ranges: an allocation and what is beside the lease.
check "every break source is refused all the same" break_all refused "$file" --length 2097152 --only break
check "plain writes go through" dd if=/dev/zero of="$file" bs=4k count=4 conv=notrunc status=none
check "plain reads go through" dd if="$file" of=/dev/null bs=1M status=none
check "a file without a lease is left alone" bash -c 'fallocate -l 1M /mnt/hf/other && fallocate -p -o 0 -l 64K /mnt/hf/other && truncate -s 0 /mnt/hf/other'
stop holder
check "and nothing is refused after it" truncate -s 0 "$file"
conclude
