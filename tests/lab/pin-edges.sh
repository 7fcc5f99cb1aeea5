#!/usr/bin/env bash
# What programs may do with a view of holdfast-pin, and what the system does to its holder: mremap, mprotect, split and huge mappings, fork, the limit on locked memory, memory cgroups,
# quotas, failing memory, recalls, the journal; with "unbind" only the device that is taken away under it.
# Usage in the lab (--fs none, 6.1 or 6.12; ./dev kmod has built it): pin-edges.sh [unbind]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/pin-lib.sh
. "$here/pin-lib.sh"

etc=/etc/holdfast
nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)

# In blocks of 2 MiB, for huge mappings.
mount_aligned() {
  mkfs.xfs -q -f -d su=2m,sw=1 /dev/pmem0
  mount -o dax=always /dev/pmem0 /mnt/hf
  chmod 777 /mnt/hf
  xfs_io -c 'extsize 2m' /mnt/hf
}
# view NAME [COMMAND... --] OPTION...: a binding of $file.
view() {
  local name=$1
  shift
  start "$name" "$@"
  hear "$name" '"ready"|"error"|hf-lab-pin:'
}
# answers NAME ORDER FILTER: what it answers
answers() {
  tell "$1" "$2"
  hear "$1" '"order"' || return 1
  is "$3"
}
status_kib() { awk -v key="$1:" '$1 == key {print $2}' "/proc/$2/status"; }
locked_kib() { status_kib VmLck "${pid_of[$1]}"; }
# tells NAME ORDER...: each of them, answered.
tells() {
  local name=$1 word
  shift
  for word; do
    tell "$name" "$word"
    hear "$name" '"order"'
  done
}
# How often the kernel made a huge entry for the program since the mark.
huge_mark() { echo >$waits/trace; }
huge_entries() { grep -c 'hf-lab-pin.*huge:' $waits/trace || :; }
first_word() { od -A n -t u8 -N 8 -j "$1" $file | tr -d ' '; }
unlocked() { [ "$(locked_kib v)" = 0 ]; }

programs() {
  section "a view and what programs do with memory"
  make_file $file 8
  view v hf-lab-pin view $file
  check "bound" is '.ready and .bytes == 8388608'
  check "not to be mapped before it is filled" answers v map '.result == "-ENXIO"'
  check "filled in part" answers v 'fill 1048576' '.result == "0" and .filled == 1048576'
  check "not to be mapped yet" answers v map '.result == "-ENXIO"'
  check "filled" answers v fill '.result == "0" and .filled == 8388608'
  check "all of it is locked memory" test "$(locked_kib v)" = 8192
  check "not private" answers v 'map private' '.result == "-EINVAL"'
  check "not to be executed" answers v 'map exec' '.result == "-EPERM"'
  check "not beyond its end" answers v 'map beyond' '.result == "-EINVAL"'
  check "mapped" answers v map '.result == "0"'
  huge_mark
  check "written through it" answers v 'write 4096 42' '.result == "0"'
  check "is in the file" test "$(first_word 4096)" = 42
  check "by an entry of 2 MiB" test "$(huge_entries)" = 1
  check "a plain region can be made of it" answers v register '.result == "0"'
  tells v dereg
  check "mprotect to read only" answers v 'protect read' '.result == "0"'
  check "is obeyed" answers v 'write 4096 43' '.result == "SIGSEGV"'
  check "and read" answers v 'read 4096' '.result == "0" and .value == 42'
  check "mprotect to write" answers v 'protect write' '.result == "0"'
  check "is obeyed" answers v 'write 4096 43' '.result == "0"'
  check "mprotect to execute is not" answers v 'protect exec' '.result == "-EACCES"'
  check "mremap makes it no larger" answers v grow '.result == "-EFAULT"'
  check "a page taken out of its middle" answers v split '.result == "0"'
  check "is gone" answers v 'write 4194304 1' '.result == "SIGSEGV"'
  check "the page after it is the same" answers v 'write 4198400 44' '.result == "0"'
  check "in the file" test "$(first_word 4198400)" = 44
  check "and the page before" answers v 'write 4190208 45' '.result == "0"'
  check "in the file" test "$(first_word 4190208)" = 45
  check "a part can still be registered" answers v register '.result == "0"'
  check "a child has neither memory nor descriptor of use" answers v fork '.touch == "SIGSEGV" and .map == "-EPERM" and .fill == "-EPERM"'
  check "the parent goes on" answers v 'write 0 46' '.result == "0"'
  check "the file can't be cut" refused_at_once truncate -s 0 $file
  check "the descriptor may be closed" answers v close '.result == "0"'
  check "the mappings hold it" refused_at_once truncate -s 0 $file
  check "and taken away" answers v unmap '.result == "0"'
  check "the region holds it" refused_at_once truncate -s 0 $file
  check "all of it, not the region's bytes alone" refused_at_once truncate -s 16M $file
  check "and the module" not rmmod holdfast_pin
  check "its locked memory counts" test "$(locked_kib v)" -ge 8192
  check "and ends" answers v dereg '.result == "0"'
  check "then the file is free" soon 1 truncate -s 0 $file
  check "nothing is left" soon 1 all_freed
  check "nothing of it is locked" soon 1 unlocked
  stop v

  make_file $file 8
  view v hf-lab-pin view $file
  tells v fill map
  check "written" answers v 'write 8192 47' '.result == "0"'
  check "moved by mremap, no longer aligned" answers v move '.result == "0"'
  check "it is the same" answers v 'read 8192' '.value == 47'
  huge_mark
  check "written elsewhere" answers v 'write 6291456 48' '.result == "0"'
  check "in the file" test "$(first_word 6291456)" = 48
  check "by small entries" test "$(huge_entries)" = 0
  check "registered there" answers v register '.result == "0"'
  stop v KILL
  check "killed, nothing is left" soon 1 all_freed

  make_file $file 8
  view v hf-lab-pin view $file
  tells v 'fill 4096'
  fsfreeze -f /mnt/hf
  check "a frozen filesystem is not filled from" answers v fill '.result == "-EAGAIN" and .filled == 4096'
  fsfreeze -u /mnt/hf
  check "thawed, it is" answers v fill '.result == "0" and .filled == 8388608'
  stop v
  check "nothing is left" soon 1 all_freed
}

# The small and the large end, and what lies between.
ranges() {
  local n
  section "ranges"
  rm -f $file
  head -c 5000 /dev/zero >$file
  chmod 666 $file
  sync $file
  view v hf-lab-pin view $file
  check "of a file that ends in a page, to its end" is '.bytes == 8192'
  check "filled" answers v fill '.result == "0" and .filled == 8192'
  stop v
  make_file $file 4
  view v hf-lab-pin view $file --offset 4096 --length 8192
  check "in its middle" is '.bytes == 8192'
  tells v fill map
  check "written" answers v 'write 0 9' '.result == "0"'
  check "where it belongs" test "$(first_word 4096)" = 9
  for n in 1 2 3; do view "w$n" hf-lab-pin view $file --offset 4096 --length 4096; tells "w$n" fill; done
  check "four bindings of one file" test "$(bindings)" = 4
  stop v KILL
  for n in 1 2; do stop "w$n"; done
  check "while one is left, nobody cuts it" refused_at_once truncate -s 0 $file
  stop w3
  check "with the last it is free" soon 1 truncate -s 0 $file
  check "nothing is left" soon 1 all_freed
  check "not beyond the end" fails 1 'ERANGE|EFBIG|ENODATA' hf-lab-pin view $file --offset 4194304 --length 4096
}

limits() {
  local was now n
  section "limits"
  make_file $file 256
  view v bash -c "ulimit -l 1024; exec ${nobody[*]} hf-lab-pin view $file"
  check "bound by a user" is '.ready'
  check "the limit on locked memory counts" answers v fill '.result == "-ENOMEM" and .filled == 0'
  check "nothing counts then" unlocked
  check "nor in parts" answers v 'fill 4096' '.result == "-ENOMEM"'
  stop v
  view v bash -c "ulimit -l 262144; exec ${nobody[*]} hf-lab-pin view $file"
  check "as large as the file, it is enough" answers v fill '.result == "0"'
  check "all of it counts" test "$(locked_kib v)" = 262144
  stop v

  echo +memory >/sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/pin
  # shellcheck disable=SC2016 # the shell's in there
  view v bash -c 'echo $$ >/sys/fs/cgroup/pin/cgroup.procs; exec hf-lab-pin view '$file
  was=$(</sys/fs/cgroup/pin/memory.current)
  check "filled in a memory cgroup" answers v fill '.result == "0"'
  now=$(</sys/fs/cgroup/pin/memory.current)
  echo "        $((now - was)) bytes more"
  # 8 bytes for each of 65,536 pages. Whatever else the fill allocates can bring one lot of 256 KiB, in which the kernel counts small things.
  check "what the kernel needs for it is the cgroup's" test $((now - was)) -gt 262144
  stop v
  # shellcheck disable=SC2016
  view v bash -c 'echo $$ >/sys/fs/cgroup/pin/cgroup.procs; exec hf-lab-pin view '$file
  cat /sys/fs/cgroup/pin/memory.current >/sys/fs/cgroup/pin/memory.max
  tell v fill
  # Killed by the cgroup, or refused.
  hear v '"order"' 2>/dev/null || heard='{"result": "killed"}'
  check "a cgroup without room ends that" is '.result != "0"'
  stop v KILL
  check "nothing is left" soon 1 all_freed
  echo max >/sys/fs/cgroup/pin/memory.max
  rmdir /sys/fs/cgroup/pin

  printf '[default]\nquota = { leases = 2, bytes = "300M" }\n' >$etc/holdfast.toml
  holdfast reload >/dev/null
  for n in 1 2; do
    view "q$n" "${nobody[@]}" hf-lab-pin view $file --length 4096
    check "binding $n of a user" is '.ready'
  done
  check "his third is beyond his quota" fails 1 'EDQUOT.*as many as' "${nobody[@]}" hf-lab-pin view $file --length 4096
  check "another user's is not" fails 0 ready setpriv --reuid daemon --clear-groups bash -c "echo quit | hf-lab-pin view $file --length 4096"
  stop q1
  stop q2
  check "with their end there is room" soon 1 all_freed
  view q1 "${nobody[@]}" hf-lab-pin view $file
  check "256 MiB of his 300" is '.ready'
  check "and no more bytes" fails 1 'EDQUOT.*bytes' "${nobody[@]}" hf-lab-pin view $file --length 67108864
  stop q1
  rm $etc/holdfast.toml
  holdfast reload >/dev/null
}

told() {
  local status
  section "as if registered on the file itself: recall, journal"
  make_file $file 4
  register
  check "registered" is '.plan == "pinned"'
  check "the journal has the registration" jq -se "last.data | .files[0].path == \"$file\"" <(holdfast history --json --kind registration)
  check "and the lease of all of the file" jq -se "last | .data.files[0].path == \"$file\"" <(holdfast history --json --kind lease)
  check "people are shown it" grep -q "$file" <(holdfast registrations)
  check "a refusal" refused_at_once truncate -s 0 $file
  check "is there" jq -se 'last.data | .operation == "truncate" and .breaker.comm == "truncate"' <(holdfast history --json --kind denial --file $file)
  check "a recall asks, and gives up on a program that is deaf" fails 1 'hf-lab-regmr' holdfast recall $file --wait 1s --on-timeout deny
  check "it goes on" refused_at_once truncate -s 0 $file
  order dereg
  check "dereg" is '.result == "0"'
  check "its end is in the journal" jq -se "last.data | .files[0].path == \"$file\"" <(holdfast history --json --kind registration_ended)
  stop holder

  make_file $file 4
  view v hf-lab-pin view $file
  tells v fill map register
  start recaller holdfast recall $file --wait 30s -- truncate -s 1M $file
  check "a program that listens lets go" hear v '"released","result":"0"'
  status=0
  ended recaller || status=$?
  check "the recall succeeds" test $status = 0
  check "and its command" test "$(stat -c %s $file)" = 1048576
  check "nothing is left" soon 1 all_freed
  stop v

  printf '[recall]\nfence_time = "1s"\nterminate_time = "1s"\nescalation = "kill"\n' >$etc/holdfast.toml
  holdfast reload >/dev/null
  make_file $file 4
  view v hf-lab-pin view $file --deaf
  tells v fill map register
  check "one that is deaf is ended where that is allowed" fails 0 'SIGTERM|SIGKILL' holdfast recall $file --wait 1s --on-timeout kill -- truncate -s 1M $file
  ended v 2>/dev/null || :
  check "the command ran" test "$(stat -c %s $file)" = 1048576
  check "nothing is left" soon 1 all_freed
  check "the journal has the recall" jq -se 'length >= 3' <(holdfast history --json --kind recall)
  rm $etc/holdfast.toml
  holdfast reload >/dev/null

  # The daemon's death opens nothing, and its successor finds what is bound.
  make_file $file 4
  register
  daemon_kill
  check "without the daemon it is held" refused_at_once truncate -s 0 $file
  check "nobody binds" fails 2 '' timeout -s KILL $((10 * slowness)) hf-lab-pin view $file
  daemon_start
  check "the next one knows the binding" test "$(bindings)" = 1
  check "and the registration" jq -e "select(.state == \"protected\") | .files[0].path == \"$file\"" <(registration hf-lab-regmr)
  daemon_kill
  stop holder KILL
  check "without the daemon it ends as ever" soon 1 truncate -s 0 $file
  daemon_start
  check "the next one knows of nothing" soon 1 all_freed
}

failing_memory() {
  section "failing memory"
  make_file $file 4
  view v hf-lab-pin view $file
  tells v fill map
  check "written" answers v 'write 0 1' '.result == "0"'
  start poison hf-lab-poison $file 0
  hear poison '^mapped'
  tell poison go
  hear poison '^poisoned'
  check "a page fails" test "$heard" = "poisoned: done"
  check "it is taken from the view" soon 2 answers v 'read 0' '.result == "SIGBUS"'
  check "the others are not" answers v 'read 4096' '.result == "0"'
  check "it can't be written" answers v 'write 0 1' '.result == "SIGBUS"'
  check "the file is held as before" refused_at_once truncate -s 0 $file
  stop poison
  stop v
  check "nothing is left" soon 1 all_freed
  check "the file can be removed" rm $file
}

# Whoever takes the device away breaks the promise of persistence; nothing may hang for ever, and nothing may be written into memory that is somebody else's.
device_gone() {
  local status=0
  section "the device is taken away"
  mount_pin xfs
  make_file $file 4
  register
  check "registered" is '.plan == "pinned"'
  start unbind bash -c "echo $(basename "$(readlink -f /sys/block/pmem0/device)") >/sys/bus/nd/drivers/nd_pmem/unbind && echo gone"
  if hear_bound_s=5 hear unbind '^gone' 2>/dev/null; then
    echo "        with its holder there, it goes"
  else
    echo "        with its holder there, it waits"
  fi
  dmesg | tail -n 5 | sed 's/^/        /'
  stop holder KILL
  ended unbind || status=$?
  check "with its holder gone, it is over" test $status = 0
  check "the module goes" soon 5 rmmod holdfast_pin
  check "the kernel had nothing to say" kernel_is_silent
}

mkdir -p $etc
watch_for_waits
huge=vmf_insert_pfn_pmd
! grep -qw ${huge}_prot /proc/kallsyms || huge=${huge}_prot # as in 6.1
echo "r:waits/huge $huge code=\$retval" >>/sys/kernel/tracing/kprobe_events
echo 'code == 0x100' >$waits/events/waits/huge/filter
echo 1 >$waits/events/waits/huge/enable
daemon_start
insmod "$module"
check "the module's device is there" soon 5 test -c /dev/holdfast-pin
if [ "${1:-}" = unbind ]; then
  device_gone
  conclude
  exit
fi
mount_aligned
programs
ranges
limits
told
failing_memory
check "in all of this, nothing has found a page that it would have had to wait for" test "$(waited)" = 0
check "no escape" test "$(holdfast status --json | jq '.gate.escapes')" = 0
check_leaks
check "the kernel had nothing to say" kernel_is_silent
check "unmounted" soon 5 umount /mnt/hf
check "clean" clean xfs
check "the module goes" soon 5 rmmod holdfast_pin
conclude
