#!/usr/bin/env bash
# A call that the gate refuses against the same call that the kernel itself refuses: on an active swap file.
# Lab: --fs xfs --mount dax=never --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

dd if=/dev/zero of=/mnt/hf/leased bs=1M count=4 conv=fsync status=none
dd if=/dev/zero of=/mnt/hf/swap bs=1M count=4 conv=fsync status=none
chmod 600 /mnt/hf/swap
mkswap /mnt/hf/swap >/dev/null
swapon /mnt/hf/swap
holdfast_on
start hold holdfast hold /mnt/hf/leased
hear hold '^lease '
for ((round = 1; round <= ${1:-7}; round++)); do
  declare -A kernel=() gate=()
  for what in $([ $((round % 2)) = 0 ] && echo "kernel gate" || echo "gate kernel"); do
    while read -r call time; do
      if [ "$what" = kernel ]; then kernel[$call]=$time; else gate[$call]=$time; fi
    done < <(hf-bench-io "/mnt/hf/$([ "$what" = kernel ] && echo swap || echo leased)" shrink punch clone --refused --batches 15)
  done
  for call in shrink punch clone; do pair "$call" ns "${kernel[$call]}" "${gate[$call]}"; done
done
swapoff /mnt/hf/swap
