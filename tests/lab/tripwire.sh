#!/usr/bin/env bash
# What gets past the gate trips the tripwire, with a call stack that names it; what breaks nothing trips nothing, also under load.
# Usage in the lab (--fs none): tripwire.sh FILESYSTEM...
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
links=/sys/fs/bpf/holdfast/links

escapes() { holdfast status --json | jq .gate.escapes; }
# last_escape FILTER: of the newest event
last_escape() { holdfast escapes --json | jq -e ".escapes[0] | $1"; }
stack_has() { holdfast escapes --json | jq -e --arg f "$1" '[.escapes[0].breaker.stack[] | test("^" + $f + "[.+]")] | any' >/dev/null; }

hold() { # RANGE
  start holder holdfast hold "$file" --range "$1"
  hear holder '^lease '
}

# trips FUNCTION CHOKE WHAT COMMAND...: the command must succeed, and be told of as one escape whose stack has the function and one of whose choke points is that.
trips() {
  local function=$1 choke=$2 what=$3 before
  shift 3
  before=$(escapes)
  hold 0:2M
  check "$what succeeds" "$@"
  check "... and is one escape" test "$(escapes)" = $((before + 1))
  check "... in $function" stack_has "$function"
  check "... seen by $choke" bash -c "holdfast escapes --json | jq -e --arg c $choke '(.escapes[0].number) as \$n | [.escapes[] | select(.number == \$n) | .choke_point] | index(\$c) != null'"
  check "... with the breaker and the holder named" last_escape '.breaker.complete and (.leases | length == 1) and .path == "'$file'"'
  check "... and the holder is told" hear holder 'ESCAPED'
  stop holder
}

# quiet WHAT COMMAND...: the command must succeed and trip nothing.
quiet() {
  local what=$1 before
  shift
  before=$(escapes)
  check "$what succeeds" "$@"
  check "... and trips nothing" test "$(escapes)" = "$before"
}

page_cache_choke() {
  case $1 in tmpfs) echo shmem_undo_range ;; hugetlbfs) echo remove_inode_hugepages ;; *) echo truncate_inode_pages_range ;; esac
}

without_a_hook() { # FILESYSTEM
  section "$1: an operation whose hook was taken away"
  make_file "$file" 8
  # As a new system call would: nothing of the gate sees it.
  rm $links/hf_file_permission
  trips vfs_fallocate "$(page_cache_choke "$1")" "a punch" fallocate -p -o 0 -l 2M "$file"
  make_file "$file" 8
  quiet "a punch beside the lease" bash -c "holdfast hold $file --range 0:2M -- fallocate -p -o 2M -l 2M $file"
  rm -f $links/hf_inode_setattr $links/hf_inode_setattr_2
  make_file "$file" 8
  trips notify_change "$(page_cache_choke "$1")" "a truncate" truncate -s 0 "$file"
  make_file "$file" 8
  quiet "a truncate beside the lease" bash -c "holdfast hold $file --range 0:2M -- truncate -s 2M $file"
  [ "$1" = xfs ] || return 0
  make_file "$file" 8
  make_file /mnt/hf/other 8
  trips xfs_file_remap_range __xfs_bunmapi "a reflink into it" xfs_io -c 'reflink /mnt/hf/other 0 0 2M' "$file"
  make_file "$file" 8
  trips xfs_file_remap_range xfs_reflink_remap_blocks "a reflink out of it" xfs_io -f -c "reflink $file 0 0 2M" /mnt/hf/other
  rm /mnt/hf/other
}

by_loop_device() {
  section "$1: a discard through a loop device that stood there before"
  local loop
  make_file "$file" 8
  check "a loop device on a file without a lease" losetup -f "$file"
  loop=$(losetup -j "$file" -O NAME -n)
  trips lo_fallocate "$(page_cache_choke "$1")" "a discard on $loop" blkdiscard -o 0 -l 2M "$loop"
  check "the kernel's worker is named as such" last_escape '.breaker.kind == "kernel-thread"'
  losetup -d "$loop"
  make_file "$file" 8
  hold 0:2M
  check "a loop device on a leased file is refused" not losetup -f "$file"
  check "... with a name" bash -c "holdfast why $file --json | jq -e '.last_denial.operation == \"loop-attach\"'"
  stop holder
  quiet "and after the lease it" bash -c "losetup -d \$(losetup -f --show $file)"
}

harmless() { # FILESYSTEM
  section "$1: nothing of this is a break"
  local other=/mnt/hf/other
  make_file "$file" 8
  hold 0:2M
  quiet "writing, growing, renaming, linking, changing the mode" break_all refused "$file" --length 2097152 --only control
  quiet "dropping caches" bash -c 'sync; echo 3 >/proc/sys/vm/drop_caches'
  quiet "another file's end" bash -c "cp $file $other 2>/dev/null || truncate -s 2M $other; truncate -s 0 $other; rm $other"
  quiet "unlinking the leased file" rm "$file"
  stop holder
  quiet "the end of an unlinked file that was leased" true
  make_file "$file" 8
  hold 0:2M
  quiet "the death of its holder" kill -KILL "${pid_of[holder]}"
  stop holder
  quiet "and a truncate after it" truncate -s 0 "$file"
}

poison() { # FILESYSTEM
  section "$1: memory fails, which nothing can refuse"
  local before offset
  before=$(escapes)
  for offset in 4194304 0; do
    make_file "$file" 8
    start poisoned hf-lab-poison "$file" $offset
    hear poisoned mapped
    hold 0:2M
    tell poisoned now
    hear poisoned 'poisoned: done'
    if [ $offset = 0 ]; then
      check "under a leased page it is an escape" test "$(escapes)" = $((before + 1))
      check "... in memory_failure" stack_has memory_failure
      check "... and the holder is told" hear holder 'ESCAPED'
    else
      check "beside the lease it is none" test "$(escapes)" = "$before"
    fi
    stop holder
    stop poisoned
    rm "$file"
  done
}

modprobe loop
daemon_start
for kind in "$@"; do
  mount_kind "$kind"
  harmless "$kind"
  case $kind in hugetlbfs) ;; *) by_loop_device "$kind" ;; esac
  # Under FS-DAX the kernel finds the file of a failed page only where XFS has its reverse mappings (rmapbt), which mkfs does not make here.
  case $kind in tmpfs|hugetlbfs) poison "$kind" ;; esac
  without_a_hook "$kind"
  # All hooks again.
  daemon_kill
  holdfast gate detach --yes >/dev/null
  daemon_start
  umount /mnt/hf
done
conclude
