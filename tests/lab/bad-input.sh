#!/usr/bin/env bash
# Bad input: a clear message with the next step, a status that is not 0, and nothing changed. In the lab: --fs xfs --no-rdma.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
make_file $file 4
before=$(sha256sum $file; filefrag -v $file | sed '1,/ext:/d')

# hold_fails WHAT STATUS PATTERN ARGUMENT...
hold_fails() {
  local what=$1 status=$2 pattern=$3
  shift 3
  check "$what" fails "$status" "$pattern" holdfast hold "$@" -- true
}
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }

section "no daemon"
check "hold" fails 3 'holdfastd' holdfast hold $file
check "hold with a command" fails 125 'holdfastd' holdfast hold $file -- true
for verb in status leases registrations watch "why $file"; do
  # shellcheck disable=SC2086 # two words
  check "$verb" fails 3 'holdfastd' holdfast $verb
done
check "gate status works without one" fails 1 'not armed' holdfast gate status
check "gate detach works without one" fails 0 'nothing is pinned' holdfast gate detach --yes

daemon_start

section "files"
check "unknown file" fails 1 'no file .*Next:' holdfast hold /mnt/hf/none
check "directory" fails 1 'directory.*Next:' holdfast hold /mnt/hf
check "block device" fails 5 'device.*Next:' holdfast hold /dev/pmem0
check "character device" fails 5 'device.*Next:' holdfast hold /dev/null
hold_fails "unknown file, with a command" 125 'no file' /mnt/hf/none
truncate -s 0 /mnt/hf/empty
check "empty file" fails 2 'empty.*Next:' holdfast hold /mnt/hf/empty
truncate -s 4M /mnt/hf/hole
check "a file of holes" fails 1 'hole.*mend it' holdfast hold /mnt/hf/hole
cp --reflink=always $file /mnt/hf/clone
check "a file with shared blocks" fails 1 'shared.*mend it' holdfast hold /mnt/hf/clone
rm /mnt/hf/clone /mnt/hf/hole /mnt/hf/empty
near=/mnt/hf/near
make_file $near 1
xfs_io -f -c "reflink $near 196608 0 4096" /mnt/hf/other >/dev/null
check "a file with a shared block beside the range" fails 1 'bytes \[196608, 200704\) beside the range.*mend it' holdfast hold $near --range 131072:4096
# The write takes the block out of the sharing, and leaves XFS with new places for those around it.
xfs_io -c "pwrite -q 196608 4096" -c fsync $near
blocks() { filefrag -v $near | sed '1,/ext:/d'; }
write_near() { local was; was=$(blocks); xfs_io -c "pwrite -q 131072 65536" -c fsync $near; same "$was" "$(blocks)"; }
export near; export -f blocks write_near same
check "without settling, XFS moves blocks that are not shared" fails 1 '' holdfast hold $near --range 131072:4096 -- bash -c write_near
xfs_io -c "reflink /mnt/hf/other 0 196608 4096" -c "pwrite -q 196608 4096" -c fsync $near
check "with --settle, none" holdfast hold $near --range 131072:4096 --settle -- bash -c write_near
rm $near /mnt/hf/other
check "why of an unknown file" fails 1 'no file' holdfast why /mnt/hf/none

section "ranges"
check "beyond the file" fails 2 'beyond the end.*Next:' holdfast hold $file --range 0:8M
check "all of it beyond the file" fails 2 'beyond the end.*Next:' holdfast hold $file --range 8M:4K
check "overlapping" fails 2 'overlap.*Next:' holdfast hold $file --range 0:8K --range 4K:8K
check "empty" fails 2 'empty.*Next:' holdfast hold $file --range 0:0
check "no range" fails 2 'not a range.*Next:' holdfast hold $file --range 4096
check "no number" fails 2 'not a size.*Next:' holdfast hold $file --range a:4K
check "too large" fails 2 'too large' holdfast hold $file --range 0:99999999999999999999

section "command line"
check "no verb" fails 2 'Next:' holdfast
check "unknown verb" fails 2 'did you mean "leases"' holdfast leasse
check "unknown option" fails 2 'Next:' holdfast leases --what
check "no command after --" fails 2 'no COMMAND' holdfast hold $file --

section "filesystems"
truncate -s 256M /tmp/btrfs
mkfs.btrfs -q /tmp/btrfs >/dev/null
mkdir -p /mnt/btrfs /mnt/overlay /tmp/upper /tmp/work
modprobe loop # devtmpfs has no loop devices before it
mount -t btrfs -o loop /tmp/btrfs /mnt/btrfs
make_file /mnt/btrfs/file 1
check "btrfs" fails 5 'btrfs' holdfast hold /mnt/btrfs/file
mkdir /mnt/hf/{upper,work}
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/hf/upper,workdir=/mnt/hf/work overlay /mnt/overlay
make_file /mnt/overlay/file 1
check "overlayfs" fails 5 'overlay' holdfast hold /mnt/overlay/file
check "a network filesystem (9p)" fails 5 '9p' holdfast hold /lab/.run/config
check "proc" fails 5 'proc' holdfast hold /proc/version
umount /mnt/overlay /mnt/btrfs
rm -rf /mnt/hf/upper /mnt/hf/work

section "permission"
chmod 600 $file
check "a file that one may not read" fails 4 'Permission denied.*Next:' as_nobody holdfast hold $file
chmod 644 $file
check "a file that one may not write" fails 4 'reading only' as_nobody holdfast hold $file
check "the gate is root's" fails 4 'root' as_nobody holdfast gate status
check "and nobody else ends it" fails 4 'root' as_nobody holdfast gate detach --yes
check "the daemon is root's" fails 1 'root' as_nobody holdfastd --socket /tmp/nobody.sock
chmod 666 $file

section "nothing changed"
check "no lease stands" test "$(leased_files)" = 0
check "the file is what it was" same "$before" "$(sha256sum $file; filefrag -v $file | sed '1,/ext:/d')"
check "the gate is armed" test "$(holdfast gate status --json | jq -r .armed)" = true

section "socket in use"
start holder holdfast hold $file
hear holder '^lease '
check "a second daemon" fails 4 'in use' holdfastd
touch /tmp/plain
check "a socket's path that is a file" fails 1 'not a socket' holdfastd --socket /tmp/plain
check "the first one serves" test "$(leased_files)" = 1
check "and refuses" refused truncate -s 0 $file

section "pins of another version"
stop holder
daemon_kill
meta=$(find /sys/fs/bpf/holdfast -name '*meta*' | head -n 1)
check "the version is pinned" test -n "$meta"
# hf_meta: magic, then the version of the shared types in bytes 4 to 7.
value=$(bpftool -j map lookup pinned "$meta" key 0 0 0 0 | jq -r '.value | .[4] = "0x63" | join(" ")')
# shellcheck disable=SC2086 # a word a byte
bpftool map update pinned "$meta" key 0 0 0 0 value $value
check "holdfastd leaves them alone" fails 5 'another layout.*gate detach' holdfastd
check "gate status says so" fails 5 'version.*Next:' holdfast gate status
check "the pins are still there" test -e "$meta"
check "gate detach ends it" fails 0 'The gate has ended' holdfast gate detach --yes
check "nothing is left" test ! -e /sys/fs/bpf/holdfast
daemon_start
check "and a new one can be armed" test "$(holdfast gate status --json | jq -r .armed)" = true
conclude
