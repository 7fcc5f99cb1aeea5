#!/usr/bin/env bash
# What the daemon wants and does not find: each gets one clear message, and nothing is attached. What takes it away while the gate is armed opens nothing.
# In the lab: missing.sh (any kernel, --fs tmpfs, --no-rdma)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
nothing_attached() {
  [ ! -e /sys/fs/bpf/holdfast ] && ! bpftool prog show 2>/dev/null | grep -qE 'name (hf_|holdfast)' && ! grep -q holdfast /sys/kernel/tracing/kprobe_events 2>/dev/null
}
make_file $file 4

section "no BPF filesystem"
umount /sys/fs/bpf
check "holdfastd says what is missing and what to do" fails 3 'mount -t bpf bpf /sys/fs/bpf' holdfastd
check "nothing is attached" nothing_attached
check "no socket is left behind" test ! -S /run/holdfast/holdfast.sock
check "files are as ever" truncate -s 3M $file
mount -t bpf -o mode=700 bpf /sys/fs/bpf

section "no type information"
mount -t tmpfs nothing /sys/kernel/btf
check "holdfastd says what is missing and what to do" fails 3 'CONFIG_DEBUG_INFO_BTF' holdfastd
check "nothing is attached" nothing_attached
check "holdfast gate status says so, too" fails 5 'CONFIG_DEBUG_INFO_BTF' holdfast gate status
umount /sys/kernel/btf

section "no tracefs"
mount -t tmpfs nothing /sys/kernel/tracing
check "holdfastd says what is missing and what to do" fails 3 'mount -t tracefs' holdfastd
umount /sys/kernel/tracing
check "nothing is attached" nothing_attached

section "gone under an armed gate"
daemon_start
start holder holdfast hold $file
hear holder '^lease '
check "truncate is refused" refused truncate -s 0 $file
umount -l /sys/fs/bpf
check "without the pins' filesystem, as well, while the daemon lives" refused truncate -s 0 $file
mount -t bpf -o mode=700 bpf /sys/fs/bpf
stop holder
stop daemon

section "no memory"
mkdir /sys/fs/cgroup/starved
in_cgroup() { echo $BASHPID >/sys/fs/cgroup/starved/cgroup.procs && exec holdfastd; }
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
start daemon in_cgroup
hear daemon serving
start holder holdfast hold $file
hear holder '^lease '
echo 128K >/sys/fs/cgroup/starved/memory.max || :
check "the daemon is killed for want of memory" bash -c "for _ in {1..100}; do grep -q '^oom_kill [1-9]' /sys/fs/cgroup/starved/memory.events && exit 0; sleep 0.1; done; exit 1"
ended daemon || :
check "truncate is refused" refused truncate -s 0 $file
daemon_start
check "the next daemon took over" grep -q 'took over' "${log_of[daemon]}"
check "and has the lease" test "$(leased_files)" = 1
check "truncate is refused" refused truncate -s 0 $file

section "a gate of another layout"
stop holder
daemon_kill
meta=/sys/fs/bpf/holdfast/maps/hf_meta
# The layout's number stands behind the magic, four bytes each; the rest as it is.
mapfile -t bytes < <(bpftool map lookup pinned $meta key 0 0 0 0 -j | jq -r '.value[]')
bytes[4]=0x7f
bpftool map update pinned $meta key 0 0 0 0 value hex "${bytes[@]#0x}"
check "is refused, with the command that helps" fails 5 'gate detach' holdfastd
check "and goes on deciding" test -e /sys/fs/bpf/holdfast/links
check "gate status names it, and the command" fails 5 'gate detach' holdfast gate status
check "gate detach ends it" holdfast gate detach --yes
daemon_start
check "and the next daemon arms" grep -q 'armed the gate' "${log_of[daemon]}"
conclude
