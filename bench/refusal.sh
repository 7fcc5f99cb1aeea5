#!/usr/bin/env bash
# A call that the gate refuses, and tells of, against the same call that the kernel itself refuses: on an active swap file, or on an immutable file.
# Lab: --fs xfs --mount dax=never --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

for name in leased swap immutable; do dd if=/dev/zero of=/mnt/hf/$name bs=1M count=4 conv=fsync status=none; done
chmod 600 /mnt/hf/swap
mkswap /mnt/hf/swap >/dev/null
swapon /mnt/hf/swap
holdfast_on
start hold holdfast hold /mnt/hf/leased
hear hold '^lease '

declare -A nanoseconds=()
# What the kernel lets pass is not asked: ftruncate() by a descriptor from before the file was immutable, a clone of it.
measure() { # FILE CALL...
  local file=$1 call time
  shift
  while read -r call time; do nanoseconds[$file.$call]=$time; done < <(hf-bench-io "/mnt/hf/$file" "$@" --refused --batches 20 --pause 200)
}
each() {
  case $1 in
    leased) measure leased shrink truncate punch clone clone-into ;;
    swap) measure swap shrink punch clone ;;
    immutable) measure immutable truncate punch clone-into --immutable ;;
  esac
}
order=(leased swap immutable)
for ((round = 1; round <= ${1:-5}; round++)); do
  for file in "${order[@]}"; do each "$file"; done
  mapfile -t order < <(printf '%s\n' "${order[@]}" | tac)
  for call in shrink punch clone; do pair "$call, against a swap file" ns "${nanoseconds[swap.$call]}" "${nanoseconds[leased.$call]}"; done
  for call in truncate punch clone-into; do pair "$call, against an immutable file" ns "${nanoseconds[immutable.$call]}" "${nanoseconds[leased.$call]}"; done
done
swapoff /mnt/hf/swap
