#!/usr/bin/env bash
# The time of ibv_reg_mr() (of its thread) of a tmpfs file with Holdfast (observed, leased) against without.
# Lab: --fs tmpfs --mount size=1200M --cpus 1 --icount
# Target: 1.05
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
truncate -s 1G $file
measure() { hf-bench-registration $file --bytes $(($1 << 20)) --count "$2"; } # MIB COUNT

for ((round = 1; round <= ${1:-5}; round++)); do
  declare -A off=() on=()
  # Which comes first alternates, so that a drift of the machine does not count for one of them.
  for what in $([ $((round % 2)) = 0 ] && echo "off on" || echo "on off"); do
    [ "$what" = off ] || holdfast_on
    for size in "1 100" "64 20" "1024 3"; do
      read -r mib count <<<"$size"
      if [ "$what" = on ]; then on[$mib]=$(measure "$mib" "$count"); else off[$mib]=$(measure "$mib" "$count"); fi
    done
    [ "$what" = off ] || holdfast_off
  done
  for mib in 1 64 1024; do
    pair "reg $mib MiB" us "${off[$mib]% *}" "${on[$mib]% *}"
    pair "reg and dereg $mib MiB" us "$(awk '{print $1 + $2}' <<<"${off[$mib]}")" "$(awk '{print $1 + $2}' <<<"${on[$mib]}")"
  done
done
