#!/usr/bin/env bash
# Calls on a leased file with many leases, extents and holders, against one; memory and start by number of leases.
# After --: how many leases, as 1000000 (which takes an hour), or how many processes with one each, as 10000:holders.
# Lab: --fs tmpfs --mount size=1500M,nr_inodes=2M --cpus 1 --no-rdma --icount --memory 8192
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

hear_bound_s=7200 # a million leases take their time
rounds=${1:-3} numbers=("${@:2}")
[ ${#numbers[@]} -gt 0 ] || numbers=({100,1000,10000}:holders 100 10000 30000)
ulimit -n 65536 # a connection and a process to watch for each holder
file=/mnt/hf/file/0 # as the holder names it
mkdir /mnt/hf/file /mnt/hf/elsewhere

calls=(pwrite ftruncate shrink) # the last is refused
measure() { # NAME: leaves in took what calls on the file take
  local call time round
  for ((round = 1; round <= rounds; round++)); do
    while read -r call time; do took[$1.$call.$round]=$time; done < <(hf-bench-io $file pwrite ftruncate && hf-bench-io $file shrink --refused --pause 20)
    [ -n "${took[$1.shrink.$round]:-}" ]
  done
}
kernel_bytes() {
  local map
  for map in /sys/fs/bpf/holdfast/maps/*; do bpftool map show pinned "$map" -j; done | jq -s 'map(.bytes_memlock) | add'
}
daemon_bytes() { awk '/^VmRSS/ {print $2 * 1024}' "/proc/${pid_of[daemon]}/status"; }
# Milliseconds of a processor that it has used up: the clock also counts what is waited for.
daemon_ms() { cat "/proc/${pid_of[daemon]}/task/"*/schedstat | awk '{sum += $1} END {print sum / 1e6}'; }
each() { awk -v before="$1" -v after="$2" -v n="$3" 'BEGIN {printf "%.1f", (after - before) / n}'; }
hold() { # NAME ARGUMENT...
  start "$1" hf-bench-lease "${@:2}"
  hear "$1" '^holding '
}
compare() { # CASE NAME [TARGET]: what calls took with NAME against one lease
  local call round
  for call in "${calls[@]}"; do
    for ((round = 1; round <= rounds; round++)); do pair "$call, $1" ns "${took[one.$call.$round]}" "${took[$2.$call.$round]}" "${3:-null}"; done
  done
}
# The next daemon finds the programs armed, so what it has to do is to read the table. Holders lose their connection with the last one.
restart_ms() {
  stop daemon KILL
  holdfast_on
  daemon_ms
}
# Holders have ended; the daemon takes its time over what they held.
let_go() { # NAME LEFT
  stop "$1"
  until [ "$(holdfast status --json | jq .leases.total)" = "$2" ]; do :; done
}
# A new file each time: one that has had many extents is looked up as such until its entry is swept.
hold_one() { # ARGUMENT...
  [ -z "${pid_of[file]:-}" ] || let_go file 0
  rm -f $file
  dd if=/dev/zero of=$file bs=1M count=2 status=none
  truncate -s 80M $file # room for all extents: what calls take depends on the size
  hold file /mnt/hf/file --hold 1 "$@"
}

declare -A took=()
holdfast_on
hold_one
measure one
# By now the first daemon has read the kernel's functions, and the next need not. Not in a subshell, which would keep the daemon to itself.
restart_ms >"$program_dir/one"
hold_one
# By extents of the file itself. What lies beyond the exact ones of a file is joined with its neighbours.
for extents in 76 1000 10000; do
  hold_one --extents $extents
  measure $extents
  compare "$extents extents of the file" $extents
done
hold_one

leases_ms() {
  local before
  before=$(daemon_ms)
  holdfast leases --json >/tmp/list
  each "$before" "$(daemon_ms)" 1
}
one_list=$(leases_ms)
kernel=$(kernel_bytes) daemon=$(daemon_bytes)
for each in "${numbers[@]}"; do
  number=${each%:*}
  if [ "$each" != "$number" ]; then
    hold elsewhere /mnt/hf/elsewhere --hold "$number" --holders "$number"
    measure holders
    compare "$number holders elsewhere" holders 1.2
    let_go elsewhere 1
    continue
  fi
  hold elsewhere /mnt/hf/elsewhere --hold "$number"
  measure elsewhere
  compare "$number leases elsewhere" elsewhere 1.2
  kernel_now=$(kernel_bytes) daemon_now=$(daemon_bytes)
  pair "bytes in the kernel for each of $number leases, against 256" bytes 256 "$(each "$kernel" "$kernel_now" "$number")" 1
  pair "bytes in holdfastd for each of $number leases, against 1,000" bytes 1000 "$(each "$daemon" "$daemon_now" "$number")"
  series kernel-bytes "$number" $((kernel_now - kernel))
  series daemon-bytes "$number" $((daemon_now - daemon))
  for call in "${calls[@]}"; do series "$call" "$number" "${took[elsewhere.$call.1]}"; done
  pair "holdfast leases --json, holdfastd's part, $number leases, against one" ms "$one_list" "$(leases_ms)"
  [ "$(jq '([.files[].leases[]] | length) + (.left_out // 0)' /tmp/list)" = $((number + 1)) ]
  restart_ms >"$program_dir/full"
  pair "holdfastd's restart with $number leases, against one" ms "$(<"$program_dir/one")" "$(<"$program_dir/full")"
  series restart-ms "$number" "$(<"$program_dir/full")"
  if [ "$each" != "${numbers[-1]}" ]; then # what comes last may stand
    stop elsewhere
    hold_one
  fi
done
for call in "${calls[@]}"; do series "$call" 1 "${took[one.$call.1]}"; done
