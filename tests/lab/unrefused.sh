#!/usr/bin/env bash
# Sources that no hook can refuse and that the probe can't make on a scratch file: the tripwire sees them, and names the function.
# Usage in the lab (--fs none): unrefused.sh
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
hold() {
  start holder holdfast hold "$file" --range "$1"
  hear holder '^lease '
}
escapes() { holdfast status --json | jq .gate.escapes; }
stack_has() { holdfast escapes --json | jq -e --arg f "$1" '[.escapes[].breaker.stack[]? | startswith($f)] | any'; }

# A disk of the machine's own SCSI target, whose medium is the file.
target=/sys/kernel/config/target disk=''
target_begin() {
  modprobe -a target_core_mod target_core_file tcm_loop sd_mod
  mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
  mkdir -p $target/core/fileio_0/disk $target/loopback/naa.6001405000000001/tpgt_1
  echo "fd_dev_name=$file,fd_dev_size=$((8 << 20))" >$target/core/fileio_0/disk/control
  echo 1 >$target/core/fileio_0/disk/enable
  echo 1 >$target/core/fileio_0/disk/attrib/emulate_tpu
  echo naa.6001405000000002 >$target/loopback/naa.6001405000000001/tpgt_1/nexus
  mkdir -p $target/loopback/naa.6001405000000001/tpgt_1/lun/lun_0
  ln -s $target/core/fileio_0/disk $target/loopback/naa.6001405000000001/tpgt_1/lun/lun_0/disk
  local until=$((SECONDS + 60))
  until disk=$(lsblk -dno NAME,VENDOR | awk '$2 == "LIO-ORG" {print "/dev/" $1}') && [ -b "$disk" ]; do [ $SECONDS -lt $until ] || return 1; sleep 0.1; done
}
target_end() {
  rm $target/loopback/naa.6001405000000001/tpgt_1/lun/lun_0/disk
  rmdir $target/loopback/naa.6001405000000001/tpgt_1/lun/lun_0 $target/loopback/naa.6001405000000001/tpgt_1 \
    $target/loopback/naa.6001405000000001 $target/core/fileio_0/disk $target/core/fileio_0
}

daemon_start
for kind in xfs tmpfs; do
  section "UNMAP of a SCSI target on $kind"
  mount_kind $kind
  make_file $file 8
  target_begin
  before=$(escapes)
  hold 0:2M
  check "an UNMAP beside the lease" blkdiscard -o 4194304 -l 1048576 "$disk"
  check "... is no escape" test "$(escapes)" = "$before"
  check "an UNMAP of leased bytes goes through: no hook sees it" blkdiscard -o 0 -l 1048576 "$disk"
  check "... is an escape" test "$(escapes)" -gt "$before"
  check "... whose stack names the target" stack_has fd_execute_unmap
  check "... and the holder is told" hear holder 'ESCAPED'
  stop holder
  target_end
  umount /mnt/hf
done
conclude
