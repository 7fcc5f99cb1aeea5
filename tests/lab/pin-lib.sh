# shellcheck shell=bash
# shellcheck disable=SC2034 # what is not used here is for the scripts that source this one
# What the tests of the kernel module holdfast-pin share: files on FS-DAX, holders, what must not wait. Sourced in the guest.

# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

module=$here/../../build/kmod/${LAB_KERNEL:?}/holdfast_pin.ko
before=/mnt/hf/before file=/mnt/hf/file beside=/mnt/hf/beside
port=7471
length=2097152
# KASAN and lockdep in an emulator take their time; that nothing waits is seen by watch_for_waits, too.
slowness=1
[ "$LAB_KERNEL" != kasan ] || slowness=20
hear_bound_s=$((hear_bound_s * slowness))

mount_pin() { # xfs|xfs-plain|ext4
  case $1 in
    # Without what this machine's xfs_repair does not know.
    xfs) mkfs.xfs -q -f /dev/pmem0 ;;
    xfs-plain) mkfs.xfs -q -f -m reflink=0 /dev/pmem0 ;;
    ext4) mkfs.ext4 -q -F -b 4096 /dev/pmem0 ;;
  esac
  mount -o dax=always /dev/pmem0 /mnt/hf
  chmod 777 /mnt/hf
}
clean() { case $1 in xfs*) xfs_repair -n /dev/pmem0 ;; ext4) e2fsck -fn /dev/pmem0 ;; esac; }

# make_fragmented FILE MIB: as make_file, in pieces of 512 KiB, so that there is something for xfs_fsr and e4defrag to do.
make_fragmented() {
  local n
  rm -f "$1" "$1.between"
  for ((n = 0; n < $2 * 2; n++)); do
    for name in "$1" "$1.between"; do dd if=/dev/zero of="$name" bs=512K count=1 seek=$n conv=notrunc,fsync status=none; done
  done
  chmod 666 "$1"
}
blocks_of() { xfs_io -r -c 'fiemap -v' "$1" | awk '$3 ~ /\.\./ {print $2, $3}'; }

# register: in this mount namespace, which umount is about (on these kernels hfa is the first network namespace). The program of the API, root's limit on locked memory not being the matter here.
register() {
  start holder hf-lab-regmr --device rxe_a --listen $port --map "$file:0:$length"
  hear holder '"ready"|"error"|hf-lab-regmr:'
}
order() {
  tell holder "$1"
  hear holder '"order"'
}
is() { jq -e "$1" <<<"$heard" || { echo "$heard"; return 1; }; }
write_remotely() {
  start writer ip netns exec hfb hf-lab-writer --device rxe_b --connect 192.0.2.1 --port $port --read-back --rate-mib "$1"
  hear writer '"ready": true'
}

# Whoever finds a page that is pinned waits for it: xfs_break_dax_layouts(), ext4_break_layouts() and XFS's way of its own for two files all ask this.
waits=/sys/kernel/tracing/instances/waits
watch_for_waits() {
  mkdir $waits
  # shellcheck disable=SC2016 # the kernel's own $
  echo 'r:waits/found dax_layout_busy_page page=$retval' >>/sys/kernel/tracing/kprobe_events
  echo 'page != 0' >$waits/events/waits/found/filter
  echo 1 >$waits/events/waits/found/enable
}
waited() { grep -c 'found:' $waits/trace || :; }

# at_once COMMAND...: it may fail, but not wait. What waits for pins does so until they go, or a signal comes.
at_once() {
  local status=0
  timeout -s KILL $((10 * slowness)) "$@" >/dev/null 2>&1 || status=$?
  [ $status -lt 124 ] || { echo "it waited: $*"; return 1; }
}
# clone_refused FROM INTO
clone_refused() { grep -q 'Text file busy' <(timeout -s KILL $((10 * slowness)) xfs_io -c "reflink $1" "$2" 2>&1); }
# refused_at_once COMMAND...
refused_at_once() { refused timeout -s KILL $((10 * slowness)) "$@"; }
last_denial() { holdfast why "$file" --json | jq -e ".last_denial | $1" || { holdfast why "$file" --json | jq .last_denial; return 1; }; }
bindings() { holdfast leases --json | jq '[.files[].leases[] | select(.state == "bound")] | length'; }
none() { [ "$("$1")" = 0 ]; } # for soon, which asks again
module_users() { cat /sys/module/holdfast_pin/refcnt; }
# Nothing of a binding is left: not in the gate, not in the module, not among the registrations.
all_freed() { [ "$(bindings)" = 0 ] && [ "$(module_users)" = 0 ] && [ "$(holdfast registrations --json | jq '.registrations | length')" = 0 ]; }

# no_line PATTERN TEXT: a grep that fails is not one that found nothing.
no_line() {
  local status=0
  grep -E "$1" <<<"$2" || status=$?
  [ $status = 1 ]
}
# What the kernel's own checkers would say, and that none of them has given up.
kernel_is_silent() {
  local said
  said=$(dmesg) || return 1
  [ -n "$said" ] || { echo "dmesg says nothing"; return 1; }
  no_line 'WARNING:|BUG:|Oops|INFO: task|possible (circular|recursive)|inconsistent lock|suspicious RCU|KASAN:|locking correctness validator|leak detector disabled|kmemleak: .*(Cannot|[Dd]isabl)' "$said"
}
nothing_stuck() {
  local tasks
  tasks=$(grep -sl '^State:.*disk sleep' /proc/[0-9]*/status || :) # a process that ends meanwhile is grep's failure
  [ -z "$tasks" ] || { echo "$tasks"; return 1; }
}

# Where the kernel looks for lost memory (kmemleak). It reports what is older than 5 s when a scan begins, and is the same in two scans in a row.
leaks=/sys/kernel/debug/kmemleak
kmemleak_scan() { echo scan >$leaks || { echo "kmemleak does not scan: is it disabled?"; return 1; }; }
nothing_leaked() {
  local old said
  [ -e $leaks ] || { echo "this kernel has no kmemleak"; return 1; }
  old=$((SECONDS + 7)) # SECONDS may be a second ahead
  while [ $SECONDS -lt $old ]; do kmemleak_scan || return 1; done
  kmemleak_scan && kmemleak_scan || return 1
  said=$(cat $leaks) || { echo "kmemleak can't be read"; return 1; }
  no_line holdfast_pin "$said" || { echo "$said"; return 1; }
}
check_leaks() {
  if [ -e $leaks ] || [ "$LAB_KERNEL" = kasan ]; then
    check "no memory of it is lost" nothing_leaked
  else
    echo "  not looked at: lost memory (this kernel has no kmemleak)"
  fi
}

# soon SECONDS COMMAND...: it succeeds within that time; each try is a real one.
soon() {
  local until=$((${EPOCHREALTIME/./} + $1 * slowness * 1000000))
  shift
  until "$@" 2>/dev/null; do [ "${EPOCHREALTIME/./}" -lt $until ] || { echo "not in time: $*"; "$@"; return 1; }; done
}
