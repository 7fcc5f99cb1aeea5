#!/usr/bin/env bash
# The time of ibv_reg_mr() (of its thread) of a tmpfs file with Holdfast (observed, leased) against without.
# Lab: --fs tmpfs --mount size=1200M --cpus 1 --icount
# Target: 1.05
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
truncate -s 1G $file
measure() { hf-bench-registration $file --bytes $(($1 << 10)) --count "$2"; } # KIB COUNT
sizes=("4 100" "1024 100" "65536 20" "1048576 3")
words_of() { if [ "$1" -lt 1024 ]; then echo "$1 KiB"; else echo "$(($1 >> 10)) MiB"; fi; }

for ((round = 1; round <= ${1:-5}; round++)); do
  declare -A off=() on=()
  # Which comes first alternates, so that a drift of the machine does not count for one of them.
  for what in $([ $((round % 2)) = 0 ] && echo "off on" || echo "on off"); do
    [ "$what" = off ] || holdfast_on
    for size in "${sizes[@]}"; do
      read -r kib count <<<"$size"
      if [ "$what" = on ]; then on[$kib]=$(measure "$kib" "$count"); else off[$kib]=$(measure "$kib" "$count"); fi
    done
    [ "$what" = off ] || holdfast_off
  done
  for kib in "${!off[@]}"; do
    pair "reg $(words_of "$kib")" us "${off[$kib]% *}" "${on[$kib]% *}"
    pair "reg and dereg $(words_of "$kib")" us "$(awk '{print $1 + $2}' <<<"${off[$kib]}")" "$(awk '{print $1 + $2}' <<<"${on[$kib]}")"
  done
done
