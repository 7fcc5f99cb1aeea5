#!/usr/bin/env bash
# What the gate spares the holders of holdfast-pin's bindings: it is detached under one, and everything that docs/pin-module.md says of that is seen, with the kernel's own stacks.
# Each wait is ended with what caused it. Usage in the lab (--fs none, 6.1 or 6.12; ./dev kmod has built it): pin-without-gate.sh
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/pin-lib.sh
. "$here/pin-lib.sh"

moved=/mnt/hf/moved

state() { awk '$1 == "State:" {print $2}' "/proc/${pid_of[$1]}/status"; }
# in_kernel NAME STATE PATTERN: so it waits, in such a function.
in_kernel() { [[ $2 == *$(state "$1")* ]] && grep -E "$3" "/proc/${pid_of[$1]}/stack"; }
show() {
  printf '        %s: %s %s\n' "$1" "$(state "$1")" "$(tr '\0' ' ' <"/proc/${pid_of[$1]}/cmdline")"
  awk '{print "          " $2}' "/proc/${pid_of[$1]}/stack"
}
# SIGKILL was sent, and is pending.
not_killed() {
  kill -KILL "${pid_of[$1]}"
  [[ $2 == *$(state "$1")* ]] && awk '$1 == "ShdPnd:" {exit substr($2, length($2) - 2, 1) !~ /[13579bdf]/}' "/proc/${pid_of[$1]}/status"
}
gone() { ! kill -0 "${pid_of[$1]}" || [[ $(state "$1") == Z ]]; }
system_time() { awk '{print $15}' "/proc/${pid_of[$1]}/stat"; }
spun() { [ "$(system_time "$1")" -ge $(($2 + 100)) ]; } # a second of a processor
waits_for_pins='(xfs|ext4)_break_(dax_)?layouts|xfs_wait_dax_page'

# waits NAME COMMAND...: it waits for the pins, until a signal comes.
waits() {
  local name=$1
  shift
  start "$name" "$@"
  check "$name: waits for the pins" soon 10 in_kernel "$name" S "$waits_for_pins"
  show "$name"
}
ends() {
  kill -KILL "${pid_of[$1]}"
  check "$1: until it is killed" soon 10 gone "$1"
  ended "$1" 2>/dev/null || :
}

daemon_start
insmod "$module"
check "the module's device is there" soon 5 test -c /dev/holdfast-pin
mount_pin xfs
make_file $before 4
make_file $file 4
make_fragmented $moved 4
register
check "a file is bound" is '.plan == "pinned"'
port=$((port + 1))
start mover hf-lab-regmr --device rxe_a --listen $port --map "$moved:0:$length"
hear mover '"ready"|"error"|hf-lab-regmr:'
check "and one in pieces" is '.plan == "pinned"'
write_remotely 4
daemon_kill
holdfast gate detach --yes >/dev/null

section "what waits, anywhere in the file"
for row in "truncate:truncate -s 0" "growing-truncate:truncate -s 8M" "punch-beside:fallocate -p -o 3145728 -l 4096" "allocation-beside:fallocate -o 8388608 -l 4096"; do
  read -ra command <<<"${row#*:}"
  waits "${row%%:*}" "${command[@]}" $file
  ends "${row%%:*}"
done

section "who else waits meanwhile"
waits truncate truncate -s 8M $file
start reader dd if=$file of=/dev/null bs=4096 count=1 status=none
check "a read by anybody waits for the inode" soon 10 in_kernel reader D xfs_ilock
show reader
check "and can't be killed" soon 10 not_killed reader D
tell holder read
check "so does the holder's own" soon 10 in_kernel holder D xfs_ilock
ends truncate
check "the reader goes with it" soon 10 gone reader
ended reader 2>/dev/null || :
check "the holder goes on" hear holder '"order"'

waits truncate truncate -s 8M $file
start freeze fsfreeze -f /mnt/hf
check "fsfreeze waits" soon 10 in_kernel freeze D 'freeze_super|percpu_down_write'
show freeze
start elsewhere dd if=/dev/zero of=$beside bs=4096 count=1 status=none
check "and with it everybody who writes anything there" soon 10 in_kernel elsewhere D 'percpu|sb_start_write|mnt_want_write'
show elsewhere
ends truncate
check "until the truncate is gone: frozen" soon 10 gone freeze
check "thawed" at_once fsfreeze -u /mnt/hf
check "written" soon 10 gone elsewhere
ended freeze 2>/dev/null || :
ended elsewhere 2>/dev/null || :

section "xfs_fsr"
pieces=$(blocks_of $moved)
check "the kernel had nothing to say so far" kernel_is_silent
check "succeeds" xfs_fsr -v $moved
check "and moves blocks that an adapter writes" not same "$pieces" "$(blocks_of $moved)"
printf '%s\n' "$pieces" "then" "$(blocks_of $moved)" | sed 's/^/        /'
check "which the kernel warns of, once" grep -q 'WARNING: .*dax_disassociate_entry' <(dmesg)
dmesg --clear
# The large stretches go to a filler, what is left to the heir.
fallocate -l $(($(stat -f -c '%a * %S' /mnt/hf) - 6 * 1048576)) /mnt/hf/filler
dd if=/dev/zero of=/mnt/hf/heir bs=64K status=none 2>/dev/null || :
echo "        another file: $(blocks_of /mnt/hf/heir | tr '\n' ' ')"
tell writer stop
hear writer '"done": true'
word=$heard
ended writer || :
echo "        the writer: $word"
lost=$(hf-lab-verify $moved --round "$(number round "$word")" --length $length || :)
echo "        the file: $lost"
check "its adapter believes that all was written" test "$(number errors "$word") $(number read_wrong "$word")" = "0 0"
check "the file has none of it" test "$(number bytes_lost "$lost")" -gt 0
check "another file's bytes are overwritten" not cmp -n "$(stat -c %s /mnt/hf/heir)" /dev/zero /mnt/hf/heir
stop mover KILL

section "a clone with a file of a lower inode number"
check "they are in this order" test "$(stat -c %i $before)" -lt "$(stat -c %i $file)"
start clone xfs_io -c "reflink $before" $file
check "begins" soon 10 system_time clone
spent=$(system_time clone)
check "and spins" soon 60 spun clone "$spent"
show clone
check "not to be killed" soon 10 not_killed clone RD
spent=$(system_time clone)
check "nor then" soon 60 spun clone "$spent"
stop holder KILL
check "until the holder is gone" soon 10 gone clone
ended clone 2>/dev/null || :

section "the end"
check "the file is free" soon 5 truncate -s 0 $file
check "nothing is stuck" soon 5 nothing_stuck
check "unmounted" soon 5 umount /mnt/hf
check "clean" clean xfs
check "the module goes" soon 5 rmmod holdfast_pin
check "the kernel had nothing to say" kernel_is_silent
conclude
