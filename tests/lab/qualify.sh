#!/usr/bin/env bash
# holdfast qualify: a well-configured mount qualifies; each misconfiguration is found and named with its mend; --fix mends what it says that it can, and is
# undone; a certificate says what has changed; the daemon tells of drift as it happens. The page goes to /lab/out, where there is one.
# Usage in the lab (--fs none, Linux 7): qualify.sh [--slice | --soak SECONDS]: only the first of it; only the soak
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

hf=/mnt/hf
file=$hf/segment
report=$program_dir/report.json

# --- the machine: none of the host's own neighbours
rm -rf /etc/holdfast /var/lib/holdfast /etc/systemd/system /etc/cron.* /etc/crontab /etc/logrotate.d /etc/exports /etc/fstab /etc/samba
mkdir -p /etc/holdfast/conf.d /var/lib/holdfast /etc/systemd/system/timers.target.wants /etc/cron.d /etc/logrotate.d
rm -rf /usr/lib/systemd/system/*.wants /var/spool/cron
modprobe -a loop overlay xfs
mkfs.xfs -q -f -d su=2m,sw=1 /dev/pmem0
mount -o dax=always /dev/pmem0 $hf
xfs_io -c 'extsize 2m' $hf
chmod 777 $hf
ulimit -l unlimited

look() { holdfast qualify $hf --no-probe --json "$@" >"$report" || [ $? = 1 ]; }
verdict() { jq -r --arg id "$1" '.findings[] | select(.id == $id) | .verdict' "$report"; }
# found ID VERDICT MEND: the last look says so of that check.
found() {
  jq -e --arg id "$1" --arg verdict "$2" --arg mend "$3" '.findings[] | select(.id == $id) |
    .verdict == $verdict and (.mends | any(contains($mend))) and (.evidence | length > 0)' "$report" >/dev/null ||
    { jq -c --arg id "$1" '.findings[] | select(.id == $id)' "$report"; return 1; }
}
# fault NAME ID VERDICT MEND: looks, and it must be found.
fault() {
  local what=$1
  shift
  look
  check "$what" found "$@"
  [ "$2" != fail ] || check "  and then it is not qualified" test "$(jq .qualified "$report")" = false
}
timer() { # NAME COMMAND
  printf '[Timer]\nOnCalendar=daily\n' >"/etc/systemd/system/$1.timer"
  printf '[Service]\nType=oneshot\nExecStart=%s\n' "$2" >"/etc/systemd/system/$1.service"
  ln -sf "../$1.timer" "/etc/systemd/system/timers.target.wants/$1.timer"
}
state() { holdfast status --json | jq -r --arg mount $hf '.qualified[] | select(.mount == $mount) | .state'; }

if [ "${1:-}" = --soak ]; then
  section "remote writes while everything is tried"
  daemon_start
  holdfast guard $hf --seal reflink,dedupe,exchange,loop
  check "it stays qualified" bash -c "holdfast qualify $hf --soak ${2}s --json >$report"
  check "remote writes ran" test "$(jq .proof.rdma_writes "$report")" -gt 10
  check "and none was lost" test "$(jq .proof.rdma_lost "$report")" = 0
  jq -c '{proof, soak: [.findings[] | select(.id == "proof.soak")]}' "$report"
  conclude
  exit
fi

section "before anything is mended"
daemon_start
make_file $file 4
check "a mount that was never looked at" test "$(state)" = never
check "a folder is no mount" fails 2 'no mount point' holdfast qualify /usr/bin
check "a user who is not root" fails 2 'needs root' setpriv --reuid nobody --clear-groups holdfast qualify $hf
look
check "the seals are missing" found gate.seals fail "holdfast guard $hf --seal reflink,dedupe,exchange,loop"
check "--fix asks first" fails 2 'nobody to ask' holdfast qualify $hf --fix
check "and has done nothing" same none "$(holdfast status --json | jq -r --arg m $hf '.mounts[] | select(.paths | index($m)) | .seals')"

section "a well-configured mount"
start hold holdfast hold $file
hear hold '^lease '
status=0
began=$SECONDS
holdfast qualify $hf --fix --yes --certify "$program_dir/good.json" --html "$program_dir/report.html" >"$program_dir/table" 2>"$program_dir/said" || status=$?
printf '  %s s\n' $((SECONDS - began))
check "qualifies" test $status = 0
[ $status = 0 ] || cat "$program_dir/said" "$program_dir/table"
check "after what --fix has done" grep -q "seal it against reflink,dedupe,exchange,loop" "$program_dir/said"
check "and says so" grep -q "$hf is qualified" "$program_dir/table"
check "every source that can be refused was tried" test "$(jq .proof.trials "$program_dir/good.json")" -gt 50
check "the page has its data" grep -q '"schema":"holdfast.qualify/1"' "$program_dir/report.html"
for made in report.html good.json table; do
  if [ -d /lab/out ] && [ -e "$program_dir/$made" ]; then cp "$program_dir/$made" /lab/out/; fi
done
[ -e "$program_dir/good.json" ] || { conclude; exit 1; }
check "the certificate matches" holdfast qualify --verify "$program_dir/good.json"
check "holdfast status says so" test "$(state)" = qualified
sed 's/"qualified": true/"qualified": false/' "$program_dir/good.json" >"$program_dir/forged.json"
check "an edited certificate is none" fails 2 'changed after it was made' holdfast qualify --verify "$program_dir/forged.json"

section "misconfigurations of the mount"
watch_events
dd if=/dev/zero of=$hf/swap bs=1M count=8 status=none conv=fsync
truncate -s 64M $hf/image
losetup /dev/loop0 $hf/image 2>/dev/null || :
check "the seal keeps a loop device away" test -z "$(cat /sys/block/loop0/loop/backing_file 2>/dev/null)"
holdfast guard $hf --seal reflink,dedupe,exchange
losetup /dev/loop0 $hf/image
hear watcher '"event":"drift".*loop device /dev/loop0'
fault "a loop device" filesystem.loop-devices fail 'losetup -d /dev/loop0'
check "and the seal that is missing" found gate.seals fail "loop"
check "the certificate fails to verify" fails 1 'filesystem loop devices' holdfast qualify --verify "$program_dir/good.json"
check "and says which seals there were" fails 1 'gate seals: reflink dedupe exchange loop is now reflink dedupe exchange' holdfast qualify --verify "$program_dir/good.json"
check "holdfast status says drifted" test "$(state)" = drifted
losetup -d /dev/loop0
if [ "${1:-}" = --slice ]; then conclude; exit; fi
mkdir -p $hf/low /tmp/up /tmp/work /tmp/merged
mount -t overlay overlay -o lowerdir=$hf/low,upperdir=/tmp/up,workdir=/tmp/work /tmp/merged
hear watcher '"event":"drift".*overlayfs above /tmp/merged'
fault "overlayfs above it" filesystem.overlays risk 'umount /tmp/merged'
umount /tmp/merged
holdfast guard $hf
cp --reflink=always $hf/swap $hf/clone
look $hf/clone
check "a reflinked file that is named" found filesystem.extents fail "holdfast hold $hf/clone --settle"
rm $hf/clone
look $hf/image
check "a file with holes" found filesystem.extents fail "holdfast hold $hf/image --settle"
fallocate -l 4M $hf/unwritten
look $hf/unwritten
check "unwritten blocks" found filesystem.extents fail "holdfast hold $hf/unwritten --settle"
printf '/dev/pmem0 %s xfs dax=never 0 0\n' $hf >/etc/fstab
fault "a mount that drifted from /etc/fstab" filesystem.fstab fail "umount $hf && mount $hf"
rm /etc/fstab
mount -o remount,noatime $hf
hear watcher '"event":"drift".*mount options'
check "another option is drift" fails 1 'filesystem mount options: rw,relatime is now rw,noatime' holdfast qualify --verify "$program_dir/good.json"
mount -o remount,relatime $hf

section "neighbours"
timer nightly "/usr/bin/duperemove -dr $hf"
hear watcher '"event":"drift".*nightly.timer duperemove'
fault "a dedupe timer" neighbours.dedupe fail 'systemctl mask --now nightly.timer'
check "that --fix can mend" test "$(jq '.findings[] | select(.id == "neighbours.dedupe") | .fixable' "$report")" = true
timer defrag "/usr/sbin/xfs_fsr"
fault "a defragmenter" neighbours.defragmentation fail 'systemctl mask --now defrag.timer'
holdfast qualify $hf --fix --yes --no-probe >/dev/null 2>&1 || :
look
check "--fix ends the first" same pass "$(verdict neighbours.dedupe)"
check "and the second" same pass "$(verdict neighbours.defragmentation)"
check "and puts the seals back" same pass "$(verdict gate.seals)"
check "--undo says what was changed since" fails 1 'left as it is: seal /mnt/hf: .*80-managed.toml was changed since' holdfast qualify --undo
look
check "brings the timer back" test "$(verdict neighbours.dedupe)" = fail
check "and takes the seals away" same fail "$(verdict gate.seals)"
check "and is done once" fails 0 'nothing to be undone' holdfast qualify --undo
rm -rf /etc/systemd/system/*
printf '%s/*.log {\n  copytruncate\n}\n' $hf >/etc/logrotate.d/app
hear watcher '"event":"drift".*copytruncate'
fault "copytruncate" neighbours.copytruncate fail 'take copytruncate out of /etc/logrotate.d/app'
rm /etc/logrotate.d/app
printf '%s *(rw)\n' $hf >/etc/exports
fault "an NFS export" filesystem.exports risk '/etc/exports:1'
printf '%s *(rw,pnfs)\n' $hf >/etc/exports
fault "one with pNFS" filesystem.exports fail 'pnfs'
rm /etc/exports
mkdir -p /etc/tmpfiles.d
printf 'F %s 0644 root root - x\n' $file >/etc/tmpfiles.d/segment.conf
fault "a rule of tmpfiles.d" neighbours.tmpfiles fail 'segment.conf:1'
rm /etc/tmpfiles.d/segment.conf
printf '@daily root /sbin/fstrim %s\n' $hf >/etc/cron.d/trim
fault "a cron job that trims" neighbours.fstrim risk '/etc/cron.d/trim'
rm /etc/cron.d/trim
start writer bash -c "exec 7<>$file; echo open; read -r _"
hear writer open
fault "another program that writes" neighbours.writers risk "ps -fp ${pid_of[writer]}"
stop writer

section "adapters and kernel"
(ulimit -l 64 && look)
check "too little memory may be locked" found adapters.memlock fail 'ulimit -l unlimited'
stop hold
mount -o remount,ro $hf
fault "a mount that has become read-only" filesystem.options risk 'remount,rw'
mount -o remount,rw $hf
rm -rf ${hf:?}/*
holdfast guard $hf --seal reflink,dedupe,exchange,loop
umount $hf
hear watcher '"event":"drift".*not mounted'
check "a certificate of what is not mounted" fails 1 "filesystem mount: gone: $hf" holdfast qualify --verify "$program_dir/good.json"
mkfs.xfs -q -f -d su=4k,sw=1 /dev/pmem0
mount -o dax=always /dev/pmem0 $hf
fault "no alignment to 2 MiB" filesystem.geometry risk 'su=2m'
dd if=/dev/zero of=$hf/swap bs=1M count=8 status=none conv=fsync
umount $hf
mkfs.xfs -q -f -d su=2m,sw=1 /dev/pmem0
mount -o dax=never /dev/pmem0 $hf
dd if=/dev/zero of=$hf/swap bs=1M count=8 status=none conv=fsync
chmod 600 $hf/swap
mkswap -q $hf/swap
swapon $hf/swap
hear watcher '"event":"drift".*swap file'
fault "a swap file" filesystem.swap-files fail "swapoff $hf/swap"
check "and that it is not DAX" found filesystem.dax risk 'dax=always'
swapoff $hf/swap
printf '[default]\nseals = ["pnuch"]\n' >/etc/holdfast/holdfast.toml
hear watcher '"event":"drift".*configuration /etc/holdfast/holdfast.toml'
fault "a configuration with a mistake" gate.configuration fail 'holdfast config check'
rm /etc/holdfast/holdfast.toml
holdfast unguard $hf
fault "a mount that is exempt" gate.guarded fail "holdfast guard $hf"
stop watcher
daemon_kill
fault "the daemon down" gate.daemon fail 'systemctl start holdfastd'
daemon_start
check "a restart remembers that it has drifted" test "$(state)" = drifted
if echo 0 >/proc/sys/kernel/ftrace_enabled; then
  fault "programs that the kernel does not call" kernel.trampolines fail 'sysctl -w kernel.ftrace_enabled=1'
  holdfast qualify $hf --fix --yes --no-probe >/dev/null 2>&1 || :
  check "which --fix mends" test "$(cat /proc/sys/kernel/ftrace_enabled)" = 1
  check "--undo" holdfast qualify --undo
  check "takes that back" test "$(cat /proc/sys/kernel/ftrace_enabled)" = 0
  echo 1 >/proc/sys/kernel/ftrace_enabled
else
  echo "  this kernel does not let ftrace be turned off under the gate"
fi
rm /sys/fs/bpf/holdfast/links/hf_file_ioctl
fault "a hook that is detached" gate.armed fail 'systemctl restart holdfastd'
daemon_kill
meta=$(find /sys/fs/bpf/holdfast -name '*meta*' | head -n 1)
# hf_meta: magic, then the version of the shared types in bytes 4 to 7.
value=$(bpftool -j map lookup pinned "$meta" key 0 0 0 0 | jq -r '.value | .[4] = "0x63" | join(" ")')
# shellcheck disable=SC2086 # a word a byte
bpftool map update pinned "$meta" key 0 0 0 0 value $value
fault "pins of another version" gate.version fail 'holdfast gate detach --yes'
conclude
