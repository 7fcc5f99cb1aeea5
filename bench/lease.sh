#!/usr/bin/env bash
# A lease by libholdfast, got and given back, against the kernel's own claims on a file. And the way of a refusal to the holder.
# Lab: --fs tmpfs --mount size=256M --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
dd if=/dev/zero of=$file bs=1M count=1 status=none
holdfast_on
time_of() { hf-bench-lease $file --kind "$1" --count 300 | awk -v field="${2:-2}" '{print $field}'; }
for _ in 1 2 3 4 5; do
  lease=$(time_of holdfast)
  for kind in setlease flock ofd-lock; do pair "lease, against $kind" us "$(time_of $kind)" "$lease"; done
done
# A figure of its own: against one millisecond, the target in the lab.
for _ in 1 2 3 4 5; do pair "refusal to holder, p99, against 1 ms" us 1000 "$(hf-bench-lease $file --kind callback --count 200 | awk '{print $3}')" 1; done
