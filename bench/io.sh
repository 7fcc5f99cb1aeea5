#!/usr/bin/env bash
# Ordinary calls on a file, with Holdfast in each of its states, an audit rule or a fanotify listener, against the same without any of them.
# Lab: --fs tmpfs --mount size=256M --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
calls=(pread pwrite fault open fallocate ftruncate)
elsewhere=10000
dd if=/dev/zero of=$file bs=1M count=1 status=none
mkdir -p /etc/holdfast /mnt/hf/elsewhere
exempt() { printf '[[mount]]\npath = "/mnt/hf"\nguard = false\n' >/etc/holdfast/holdfast.toml; }

declare -A nanoseconds=()
measure() { # STATE
  local call time
  while read -r call time; do nanoseconds[$1.$call]=$time; done < <(hf-bench-io $file "${calls[@]}")
  [ -n "${nanoseconds[$1.ftruncate]:-}" ]
}

# One state after the other, each begun and ended by itself.
state() { # STATE
  case $1 in
    none) measure none ;;
    unguarded) exempt; holdfast_on; measure "$1"; holdfast_off; rm /etc/holdfast/holdfast.toml ;;
    guarded) holdfast_on; measure "$1"; holdfast_off ;;
    sealed)
      holdfast_on
      holdfast guard /mnt/hf --seal reflink >/dev/null
      measure "$1"
      holdfast unguard /mnt/hf >/dev/null
      rm -f /etc/holdfast/conf.d/80-managed.toml
      holdfast_off ;;
    leased)
      holdfast_on
      start hold holdfast hold $file
      hear hold '^lease '
      measure "$1"
      stop hold
      holdfast_off ;;
    elsewhere)
      holdfast_on
      start hold hf-bench-lease /mnt/hf/elsewhere --hold $elsewhere
      hear hold '^holding '
      measure "$1"
      stop hold
      holdfast_off ;;
    audit)
      auditctl -q -e 1 >/dev/null
      for call in pread64 pwrite64 openat fallocate ftruncate; do auditctl -a always,exit -F arch=b64 -S $call -F dir=/mnt/hf -F success=0; done
      measure "$1"
      auditctl -q -D >/dev/null
      auditctl -q -e 0 >/dev/null ;;
    fanotify)
      start listener hf-bench-fanotify /mnt/hf
      hear listener listening
      measure "$1"
      stop listener ;;
  esac
}

states=(none unguarded guarded sealed leased elsewhere fanotify)
if command -v auditctl >/dev/null && auditctl -s >/dev/null 2>&1; then states+=(audit); fi
for ((round = 1; round <= ${1:-5}; round++)); do
  order=("${states[@]}")
  [ $((round % 2)) = 1 ] || mapfile -t order < <(printf '%s\n' "${states[@]}" | tac)
  for each in "${order[@]}"; do state "$each"; done
  for each in "${states[@]:1}"; do
    for call in "${calls[@]}"; do
      target=null
      case $each.$call in
        unguarded.pread|unguarded.pwrite) target=1.01 ;;
        guarded.pread|guarded.pwrite) target=1.03 ;;
      esac
      pair "$call, $each" ns "${nanoseconds[none.$call]}" "${nanoseconds[$each.$call]}" $target
    done
  done
done
