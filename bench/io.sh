#!/usr/bin/env bash
# Ordinary calls on a file with Holdfast in each of its states, an empty program at the gate's hook, an audit rule, a fanotify listener or fapolicyd, against without.
# After --: which of the states, for less than all.
# Lab: --fs tmpfs --mount size=256M --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
calls=(pread pwrite fault open fallocate ftruncate)
dd if=/dev/zero of=$file bs=1M count=1 status=none
mkdir -p /etc/holdfast /mnt/hf/elsewhere
exempt() { printf '[[mount]]\npath = "/mnt/hf"\nguard = false\n' >/etc/holdfast/holdfast.toml; }

declare -A nanoseconds=()
measure() { # STATE
  local call time
  while read -r call time; do nanoseconds[$1.$call]=$time; done < <(hf-bench-io $file "${calls[@]}")
  [ -n "${nanoseconds[$1.ftruncate]:-}" ]
}

# One state after the other, each begun and ended by itself. Those with Holdfast share one daemon a round: loading its programs takes longer than all else.
state() { # STATE
  case $1 in
    none) measure none ;;
    unguarded) exempt; holdfast reload >/dev/null; measure "$1"; rm /etc/holdfast/holdfast.toml; holdfast reload >/dev/null ;;
    guarded) measure "$1" ;;
    sealed)
      holdfast guard /mnt/hf --seal reflink >/dev/null
      measure "$1"
      rm /etc/holdfast/conf.d/80-managed.toml
      holdfast reload >/dev/null ;;
    leased)
      start hold holdfast hold $file
      hear hold '^lease '
      measure "$1"
      stop hold ;;
    elsewhere-*)
      start hold hf-bench-lease /mnt/hf/elsewhere --hold "${1#*-}"
      hear hold '^holding '
      measure "$1"
      stop hold ;;
    empty-hook)
      start hook hf-bench-hook
      hear hook attached
      measure "$1"
      stop hook ;;
    audit)
      auditctl -e 1 >/dev/null
      for call in pread pwrite openat fallocate ftruncate; do auditctl -a always,exit -F arch=b64 -S $call -F dir=/mnt/hf -F success=0; done
      measure "$1"
      auditctl -D >/dev/null
      auditctl -e 0 >/dev/null ;;
    fanotify)
      start listener hf-bench-fanotify /mnt/hf
      hear listener listening
      measure "$1"
      stop listener ;;
    fapolicyd)
      start listener fapolicyd --debug-deny --permissive
      hear listener 'added /mnt/hf mount point'
      hear listener 'Starting to listen for events'
      measure "$1"
      stop listener ;;
  esac
}

# Which allows everything. Its database of trusted files is made anew, with nothing in it.
prepare_fapolicyd() {
  mount -t tmpfs -o "uid=$(id -u fapolicyd),gid=$(id -g fapolicyd),size=200M" fapolicyd /var/lib/fapolicyd
  install -d -o fapolicyd -g fapolicyd /run/fapolicyd
  rm -f /etc/fapolicyd/rules.d/* /etc/fapolicyd/trust.d/*
  : >/etc/fapolicyd/fapolicyd.trust
  echo 'allow perm=any all : all' >/etc/fapolicyd/fapolicyd.rules
  sed -i 's/^trust = .*/trust = file/' /etc/fapolicyd/fapolicyd.conf
}

wanted() { [ ${#only[@]} = 0 ] || [[ " ${only[*]} " = *" $1 "* ]]; }
only=("${@:2}") with_holdfast=() without=(none)
for each in unguarded guarded sealed leased elsewhere-1 elsewhere-10000; do ! wanted $each || with_holdfast+=("$each"); done
for each in empty-hook fanotify; do ! wanted $each || without+=("$each"); done
if wanted fapolicyd && command -v fapolicyd >/dev/null; then
  prepare_fapolicyd
  without+=(fapolicyd)
fi
backwards() { printf '%s\n' "$@" | tac; }
pairs() { # STATE...: of each call, against the last time without any of them
  local each call target
  for each; do
    for call in "${calls[@]}"; do
      target=null
      case $each.$call in
        unguarded.pread|unguarded.pwrite) target=1.01 ;;
        guarded.pread|guarded.pwrite) target=1.03 ;;
      esac
      pair "$call, $each" ns "${nanoseconds[none.$call]}" "${nanoseconds[$each.$call]}" $target
      # What is the gate's own, and not the kernel's for any program there.
      [ -z "${nanoseconds[empty-hook.$call]:-}" ] || case $each.$call in
        guarded.pread|guarded.pwrite) pair "$call, $each, against the empty hook" ns "${nanoseconds[empty-hook.$call]}" "${nanoseconds[$each.$call]}" ;;
      esac
    done
  done
}
rounds=${1:-5}
for ((round = 1; round <= rounds; round++)); do
  # Which come first alternates.
  if [ $((round % 2)) = 1 ]; then
    for each in "${without[@]}"; do state "$each"; done
    holdfast_on
    for each in "${with_holdfast[@]}"; do state "$each"; done
    holdfast_off
  else
    holdfast_on
    for each in $(backwards "${with_holdfast[@]}"); do state "$each"; done
    holdfast_off
    for each in $(backwards "${without[@]}"); do state "$each"; done
  fi
  pairs "${with_holdfast[@]}" "${without[@]:1}"
done
# Last: from the first rule on, every new process has its calls looked at, with rules or without.
if wanted audit && command -v auditctl >/dev/null && auditctl -s >/dev/null 2>&1; then
  for ((round = 1; round <= rounds; round++)); do
    state audit
    pairs audit
  done
fi
