#!/usr/bin/env bash
# Proves what the lab promises, on the host: output and status come through, a dead guest is a failure, file systems have
# DAX, RDMA crosses the wire, nothing is left behind. Every other case in the lab stands on this one.
#
# Usage: tests/lab/selftest.sh [PART...]    PART: common, 6.1, 6.12 or 7; default: all of them
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
[ $# -gt 0 ] || set -- common 6.1 6.12 7

# The space in its name is part of the test.
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast selftest-XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
mkfifo "$work/fifo"

passed=0 failed=0
# check NAME COMMAND...: the case NAME passes when COMMAND succeeds.
check() {
  local name=$1; shift
  if "$@"; then
    passed=$((passed + 1)) && echo "ok      $name"
  else
    failed=$((failed + 1)) && echo "NOT OK  $name (status $status)"
    tail -n 20 "$work/out" | cut -c 1-200 | cat -v | sed 's/^/        out | /'
    tail -n 70 "$work/err" | cut -c 1-200 | cat -v | sed 's/^/        err | /'
  fi
}

# lab ARGUMENT...: leaves status, $work/out, $work/err.
status=0
lab() {
  status=0
  "$root/dev" lab "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}

# Every byte value, no newline at the end, and arguments that a careless shell would change.
output_is_exact() {
  # shellcheck disable=SC2016 # for the guest's shell
  lab --kernel "$1" --fs none --no-rdma -- bash -c '
    for byte in {0..255}; do printf "\\x$(printf %x "$byte")"; done
    printf "%s|" "$@" "$PWD" "$(id -u)"
    seq 100000 | tee /dev/stderr >/dev/null
    exit 7' bash 'two words' '' $'new\nline' '*' "it's \"quoted\" \$HOME"
  {
    for byte in {0..255}; do printf '%b' "\\x$(printf %x "$byte")"; done
    printf '%s|' 'two words' '' $'new\nline' '*' "it's \"quoted\" \$HOME" "$PWD" 0
  } | cmp - "$work/out" && seq 100000 | cmp - "$work/err" && [ "$status" = 7 ]
}

# What is written right before a panic may be lost, so the guest waits a little.
panic_is_a_failure() {
  lab --kernel "$1" --fs none --no-rdma -- bash -c 'echo before; sleep 0.5; echo c >/proc/sysrq-trigger'
  [ "$status" = 125 ] && grep -q 'Kernel panic' "$work/err" && [ "$(<"$work/out")" = before ]
}

hang_is_a_failure() {
  local began=$SECONDS
  lab --fs none --no-rdma --timeout 40 -- bash -c 'echo before; exec sleep infinity'
  [ "$status" = 125 ] && grep -q 'no end after 40 s' "$work/err" && [ "$(<"$work/out")" = before ] &&
    [ $((SECONDS - began)) -lt 60 ]
}

success_is_silent_and_takes_leftovers_along() {
  lab --fs none --no-rdma -- bash -c 'trap "" TERM HUP; sleep infinity &'
  [ "$status" = 0 ] && [ ! -s "$work/out" ] && [ ! -s "$work/err" ]
}

host_is_safe_and_out_is_shared() {
  mkdir -p "$work/results"
  # shellcheck disable=SC2016
  lab --fs none --no-rdma --out "$work/results" -- bash -c '
    echo changed >"$1/README-of-the-selftest" && rm -f "$1/dev" && [ ! -e "$1/dev" ] && echo result >/lab/out/result &&
    touch /etc/of-the-selftest /tmp/of-the-selftest /run/of-the-selftest' bash "$root"
  [ "$status" = 0 ] && [ -x "$root/dev" ] && [ ! -e "$root/README-of-the-selftest" ] && [ ! -e /etc/of-the-selftest ] &&
    [ "$(<"$work/results/result")" = result ]
}

options_reach_the_kernel() {
  # shellcheck disable=SC2016
  lab --fs none --no-rdma --no-bpf-lsm --append 'holdfast_selftest=1' --hugepages 3 --cpus 1 --memory 2048 -- bash -ec '
    [[ ,$(</sys/kernel/security/lsm), != *,bpf,* ]]
    grep -q holdfast_selftest=1 /proc/cmdline
    grep -Eq "^HugePages_Total: +3$" /proc/meminfo
    [ "$(nproc)" = 1 ]
    ! grep -E "^(ib_core|ib_uverbs|rdma_rxe) " /proc/modules
    [ -b /dev/pmem0 ]'
  [ "$status" = 0 ]
}

# One boot: a file on XFS has DAX (0x200000 is STATX_ATTR_DAX), BPF can work, and what one end sends with and without
# rdma_cm, the interface at the other end has counted.
xfs_bpf_and_rdma_work() {
  lab --kernel "$1" --fs xfs --script "$work/guest" -- first 'second one'
  [ "$status" = 0 ]
}
cat >"$work/guest" <<'EOF'
set -eE
trap 'echo "failed: $BASH_COMMAND"' ERR
[ "$1,$2" = "first,second one" ]

grep "^/dev/pmem0 /mnt/hf xfs .*dax=always" /proc/mounts
attributes=$(xfs_io -f -c "pwrite -q 0 1m" -c "statx -r" /mnt/hf/file | sed -n "s/^stat.attributes = //p")
echo "attributes $attributes"
[ $((attributes & 0x200000)) != 0 ]

[[ ,$(</sys/kernel/security/lsm), = *,bpf,* ]]
[ -r /sys/kernel/btf/vmlinux ]
[ -r /sys/kernel/btf/ib_core ]
for mounted in "bpf /sys/fs/bpf" "tracefs /sys/kernel/tracing" "debugfs /sys/kernel/debug" "cgroup2 /sys/fs/cgroup"; do
  grep "^[^ ]* ${mounted#* } ${mounted% *} " /proc/mounts
done
within hfb test -d /sys/fs/bpf -a -r /sys/kernel/security/lsm

received() { ip -n hfa -s link show dev veth_a | awk '/RX:/ {getline; print $1}'; }
tcp_listens() { ip netns exec hfa ss -Hltn "sport = :$1" | grep -q .; }
cm_listens() { rdma resource show cm_id | grep -q LISTEN; }
wait_for() { local i; for ((i = 0; i < 200; i++)); do if "$@"; then return 0; fi; sleep 0.1; done; return 1; }
crossed() { # NAME BYTES-BEFORE BYTES-AT-LEAST
  local bytes=$(($(received) - $2))
  echo "$1: veth_a received $bytes bytes"
  [ $bytes -ge "$3" ]
}

before=$(received)
ip netns exec hfa ib_write_bw -d rxe_a -s 65536 -n 16 >/tmp/server & server=$!
wait_for tcp_listens 18515
timeout 60 ip netns exec hfb ib_write_bw -d rxe_b -s 65536 -n 16 192.0.2.1
wait $server
crossed ib_write_bw "$before" $((16 * 65536))

before=$(received)
ip netns exec hfa rping -s -a 192.0.2.1 -C 16 -S 60000 & server=$!
wait_for cm_listens
timeout 60 ip netns exec hfb rping -c -a 192.0.2.1 -C 16 -S 60000
wait $server
crossed rping "$before" $((16 * 60000))
EOF

ext4_and_late_rdma_work() {
  # shellcheck disable=SC2016
  lab --kernel "$1" --fs ext4 --no-rdma -- bash -ec '
    grep "^/dev/pmem0 /mnt/hf ext4 .*dax=always" /proc/mounts
    attributes=$(xfs_io -f -c "pwrite -q 0 1m" -c "statx -r" /mnt/hf/file | sed -n "s/^stat.attributes = //p")
    echo "attributes $attributes"
    [ $((attributes & 0x200000)) != 0 ]
    [ ! -e /dev/infiniband ]
    lab-rdma
    ip netns exec hfa ibv_devinfo -d rxe_a | grep PORT_ACTIVE
    ip netns exec hfb ibv_devinfo -d rxe_b | grep PORT_ACTIVE'
  [ "$status" = 0 ]
}

mkfs_and_mount_options_are_used() {
  lab --fs xfs --mkfs '-m reflink=0 -L selftest' --mount dax=never -- bash -ec '
    xfs_info /mnt/hf | grep -q reflink=0
    xfs_info /mnt/hf && xfs_admin -l /dev/pmem0
    grep "/mnt/hf xfs .*dax=never" /proc/mounts'
  [ "$status" = 0 ] && grep -q selftest "$work/out"
}

hugetlbfs_has_its_pages() {
  lab --fs hugetlbfs -- bash -ec '
    grep -Eq "^HugePages_Total: +64$" /proc/meminfo
    fallocate -l 128M /mnt/hf/all
    grep -Eq "^HugePages_Free: +0$" /proc/meminfo'
  [ "$status" = 0 ]
}

# An interrupt ends QEMU and removes what the lab had in TMPDIR.
interrupt_leaves_nothing() {
  "$root/dev" lab --fs none --no-rdma -- bash -c 'echo ready; exec sleep infinity' >"$work/fifo" 2>"$work/err" &
  local lab=$! line='' children
  read -r line <"$work/fifo"
  children=$(pgrep -P "$lab")
  kill -TERM "$lab"
  status=0
  wait "$lab" || status=$?
  [ "$line" = ready ] && [ "$status" = 143 ] && [ -n "$children" ] &&
    ! ps -o pid=,args= -p "${children//$'\n'/,}" && [ -z "$(ls -A "$TMPDIR")" ]
}

bad_usage_is_told() {
  lab --kernel 5.10 -- true
  [ "$status" = 125 ] && grep -q 'no kernel "5.10"' "$work/err" || return
  lab --fs zfs -- true
  [ "$status" = 125 ] && grep -q 'no filesystem "zfs"' "$work/err" || return
  lab --preset no-such -- true
  [ "$status" = 125 ] && grep -q './dev build --preset no-such' "$work/err"
}

for part in "$@"; do
  case $part in
    common)
      check "bad usage is told, with what is possible" bad_usage_is_told
      check "success is silent, and takes along what the command left running" success_is_silent_and_takes_leftovers_along
      check "a hang is a failure" hang_is_a_failure
      check "an interrupt leaves nothing behind" interrupt_leaves_nothing
      check "the host is safe, the results folder is shared" host_is_safe_and_out_is_shared
      check "options reach the kernel" options_reach_the_kernel
      check "options for mkfs and mount are used" mkfs_and_mount_options_are_used
      check "hugetlbfs has its pages" hugetlbfs_has_its_pages ;;
    *)
      check "$part: output, arguments and status come through exactly" output_is_exact "$part"
      check "$part: XFS has DAX, BPF is ready, RDMA crosses the wire" xfs_bpf_and_rdma_work "$part"
      check "$part: ext4 has DAX, RDMA can come late" ext4_and_late_rdma_work "$part"
      check "$part: a panic is a failure, with the console" panic_is_a_failure "$part" ;;
  esac
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
