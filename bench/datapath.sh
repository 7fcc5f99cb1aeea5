#!/usr/bin/env bash
# RDMA writes into a tmpfs file under a lease against the same without Holdfast.
# Lab: --fs tmpfs --mount size=64M --cpus 1 --icount
# Target: 1.02
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
truncate -s 8M $file
# The time of one message in microseconds, from the rate that perftest prints.
measure() { # BYTES COUNT
  local out try
  ip netns exec hfa ib_write_bw -d rxe_a --mmap=$file -s "$1" -n "$2" >/dev/null 2>&1 &
  local server=$!
  for try in {1..20}; do
    if out=$(ip netns exec hfb ib_write_bw -d rxe_b -s "$1" -n "$2" 192.0.2.1 2>&1); then break; fi
    [ "$try" != 20 ]
  done
  wait $server
  # bytes, iterations, BW peak, BW average in MiB/s, message rate in millions a second
  awk -v bytes="$1" '$1 == bytes && NF >= 5 {printf "%.3f\n", bytes / ($4 * 1.048576)}' <<<"$out"
}

for ((round = 1; round <= ${1:-7}; round++)); do
  declare -A off=() on=()
  for what in $([ $((round % 2)) = 0 ] && echo "off on" || echo "on off"); do
    [ "$what" = off ] || holdfast_on
    for size in "4096 5000" "65536 1000"; do
      read -r bytes count <<<"$size"
      if [ "$what" = on ]; then on[$bytes]=$(measure "$bytes" "$count"); else off[$bytes]=$(measure "$bytes" "$count"); fi
    done
    [ "$what" = off ] || holdfast_off
  done
  for bytes in 4096 65536; do pair "write $bytes bytes" us "${off[$bytes]}" "${on[$bytes]}"; done
done
