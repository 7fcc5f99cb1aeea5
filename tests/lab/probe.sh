#!/usr/bin/env bash
# holdfast probe on every kind of filesystem: 0 open sources, 0 unnamed refusals, 0 differences from the catalogue; it leaves nothing behind, also when killed;
# and the catalogue names what this kernel has. Reports go to /lab/out, where there is one.
# Usage in the lab (--fs none --hugepages 32): probe.sh [--slice] KIND...; with --slice by some routes only
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

options=()
if [ "${1:-}" = --slice ]; then
  options=(--route "user,root,early,io_uring-worker,compat,overlay,holder")
  shift
fi
kernel=$(uname -r | grep -oE '^[0-9]+\.[0-9]+')

# mount_probe KIND: with all that the sources want of a filesystem.
mount_probe() {
  case $1 in
    xfs-dax) mount_kind xfs ;;
    xfs-dax-plain)
      mkfs.xfs -q -f -m reflink=0 /dev/pmem0
      mount -o dax=always /dev/pmem0 /mnt/hf ;;
    xfs)
      mount_kind xfs
      umount /mnt/hf
      mount -o dax=never /dev/pmem0 /mnt/hf ;;
    ext4-dax) mount_kind ext4 ;;
    ext4)
      # Verity, and versions that can be set.
      mkfs.ext4 -q -F -b 4096 -O verity,^metadata_csum /dev/pmem0
      mount -o dax=never /dev/pmem0 /mnt/hf ;;
    *) mount_kind "$1" ;;
  esac
  chmod 777 /mnt/hf
}

nothing_left() { [ -z "$(find /mnt/hf -mindepth 1 ! -name lost+found -print -quit)" ]; }
# Its guardian removes them when the last of its children has gone: soon, but not at once.
soon() { local until=$((SECONDS + 60)); until "$@"; do [ $SECONDS -lt $until ] || return 1; sleep 0.1; done; }

probe_kind() { # KIND
  local report=$program_dir/$1.json status=0
  section "$1"
  mount_probe "$1"
  holdfast probe /mnt/hf --json "${options[@]}" >"$report" || status=$?
  [ ! -d /lab/out ] || jq -c --arg kind "$1" '. + {kind: $kind}' "$report" >"/lab/out/probe.$kernel.$1.json"
  check "the probe says so with its exit status" test $status = 0
  check "no source is open" test "$(jq .open "$report")" = 0
  check "every refusal is named" test "$(jq .unnamed "$report")" = 0
  check "all is as the catalogue says" same "" "$(jq -r '.trials[] | select(.differences != []) |
    "\(.action) by \(.route), leased \(.leased): \(.differences | join("; "))"' "$report")"
  check "with a tripwire" test "$(jq .tripwire "$report")" = true
  check "it tried something" test "$(jq .tried "$report")" -gt 50
  check "nothing is left" nothing_left
  printf '  %s trials in %.0f s\n' "$(jq .tried "$report")" "$(jq .seconds "$report")"
  umount /mnt/hf
}

# killed SIGNAL: in the middle of its work.
killed() {
  start probe holdfast probe /mnt/hf
  hear watcher '"event":"denial"'
  stop probe "$1"
  check "nothing is left after SIG$1" soon nothing_left
  check "nothing is leased after SIG$1" soon test "$(leased_files)" = 0
}

modprobe -a loop overlay
daemon_start

section "the catalogue and this kernel"
modprobe -a xfs ext4
check "every function that the catalogue names is there" holdfast sources --kernel-check

for kind in "$@"; do probe_kind "$kind"; done

section "large folios"
mount_probe xfs
folios=$program_dir/folios.json
check "the probe finds nothing wrong beside a lease in one folio" bash -c "holdfast probe /mnt/hf --source large-folio --route root --json >$folios"
case $kernel in
  # One write makes no large folio there.
  6.1) ;;
  *)
    check "it is refused" test "$(jq '[.trials[] | select(.leased and .result == "refused")] | length' "$folios")" = 2
    check "without a lease it takes leased pages away" jq -e 'any(.trials[]; .changed == "other pages")' "$folios" ;;
esac
umount /mnt/hf

section "a sealed mount"
mount_probe tmpfs
holdfast guard /mnt/hf --seal all
sealed() { holdfast probe /mnt/hf --route user,root --json >"$program_dir/sealed" || { jq -c '.trials[] | select(.differences != [])' "$program_dir/sealed"; return 1; }; }
check "is as the seals say" sealed
check "they refuse without a lease" jq -e 'any(.trials[]; (.leased | not) and .result == "refused")' "$program_dir/sealed"
holdfast guard /mnt/hf

section "killed"
watch_events
killed TERM
stop watcher
watch_events
killed KILL
stop watcher
one=(--source punch --route root --leased-only)
soaked() { holdfast probe /mnt/hf "${one[@]}" --soak 2 --seed 7 --json | jq -e '.seed == 7 and .tried > 5'; }
check "--soak goes on, and says its seed" soaked
mkdir /mnt/hf/.holdfast-probe-abcdef
check "a probe" holdfast probe /mnt/hf "${one[@]}"
check "removes what a killed one left whose guardian was killed too" nothing_left
check "a route that there is not is told" fails 2 'no route' holdfast probe /mnt/hf --route rout
check "a source that there is not is told" fails 2 'source "punsh"' holdfast probe /mnt/hf --source punsh
check "a folder that there is not is told" fails 1 'cannot look at' holdfast probe /mnt/none
check "a filesystem that the catalogue does not know is told" fails 5 'does not know' holdfast probe /root

section "a gate with a hole"
# Last, for it stays: what the probe is for.
rm /sys/fs/bpf/holdfast/links/hf_file_permission
holes() { # the exit status, and what is said
  local status=0
  holdfast probe /mnt/hf "${one[@]}" --json >"$program_dir/holes" || status=$?
  [ $status = 1 ] && jq -e '.open > 0 and .differences > 0 and ([.trials[] | select(.differences != []) | .escape] | all)' "$program_dir/holes"
}
check "is found, and each break is an escape" holes
umount /mnt/hf
conclude
