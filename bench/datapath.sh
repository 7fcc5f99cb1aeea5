#!/usr/bin/env bash
# RDMA writes into and reads from a tmpfs file under a lease against the same without Holdfast.
# Lab: --fs tmpfs --mount size=64M --cpus 1 --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
truncate -s 8M $file
# The time of one message in microseconds: of a rate (_bw) from its MiB a second, of a latency (_lat) the typical one.
measure() { # PROGRAM BYTES COUNT
  local out try
  ip netns exec hfa "$1" -d rxe_a --mmap=$file -s "$2" -n "$3" >/dev/null 2>&1 &
  local server=$!
  for try in {1..20}; do
    if out=$(ip netns exec hfb "$1" -d rxe_b -s "$2" -n "$3" 192.0.2.1 2>&1); then break; fi
    [ "$try" != 20 ]
  done
  wait $server
  case $1 in
    # bytes, iterations, peak, average in MiB/s, message rate
    *_bw) awk -v bytes="$2" '$1 == bytes && NF >= 5 {printf "%.3f\n", bytes / ($4 * 1.048576)}' <<<"$out" ;;
    # bytes, iterations, least, most, typical, average, ...
    *_lat) awk -v bytes="$2" '$1 == bytes && NF >= 6 {print $5}' <<<"$out" ;;
  esac
}

# The ends of a latency test spin, here on one processor, and its time goes by which of them is preempted when: one of a few figures, far from each other, with Holdfast and without.
# The usual one is told, and has no target.
repeat() {
  case $1 in
    *_bw) measure "$@" ;;
    *_lat) for _ in {1..3}; do measure "$@"; done | sort -n | sed -n 2p ;;
  esac
}

cases=()
for each in "ib_write_bw 4096 5000" "ib_write_bw 65536 1000" "ib_read_bw 65536 1000" "ib_write_lat 64 200"; do
  [[ $# -ge 2 && " ${*:2} " != *" ${each%% *} "* ]] || cases+=("$each")
done
for ((round = 1; round <= ${1:-7}; round++)); do
  declare -A off=() on=()
  for what in $([ $((round % 2)) = 0 ] && echo "off on" || echo "on off"); do
    [ "$what" = off ] || holdfast_on
    for each in "${cases[@]}"; do
      read -r program bytes count <<<"$each"
      took=$(repeat "$program" "$bytes" "$count")
      if [ "$what" = on ]; then on[$each]=$took; else off[$each]=$took; fi
    done
    [ "$what" = off ] || holdfast_off
  done
  for each in "${cases[@]}"; do
    read -r program bytes count <<<"$each"
    target=1.02
    [ "$program" != ib_write_lat ] || target=null
    pair "$program, $bytes bytes" us "${off[$each]}" "${on[$each]}" $target
  done
done
