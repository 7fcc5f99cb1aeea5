#!/usr/bin/env bash
# Modules that load after the daemon: the first registration is leased already, and they can be unloaded with the gate armed, and loaded again.
# In the lab: --no-rdma --fs none.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

loaded() { grep -q "^$1 " /proc/modules; }

register_and_try() {
  start target ip netns exec hfa hf-lab-register --device rxe_a --map /mnt/shm/file:0:1048576
  hear target '"ready": true'
  # The lease stands before ibv_reg_mr returns: nothing to wait for.
  check "$1: refused at once" refused truncate -s 0 /mnt/shm/file
  check "$1: protected" test "$(state_of hf-lab-register)" = protected
  tell target quit
  ended target
  check "$1: allowed after its end" truncate -s 0 /mnt/shm/file
  make_file /mnt/shm/file 1
}

mkdir -p /mnt/shm
mount -t tmpfs hf /mnt/shm
make_file /mnt/shm/file 1
check "no RDMA is loaded" not loaded ib_uverbs
check "no XFS is loaded" not loaded xfs

section "the daemon comes first"
daemon_start
check "the gate is armed" test "$(holdfast gate status --json | jq -r .armed)" = true
check "it waits for modules" test "$(holdfast gate status --json | jq '.waiting | length')" -gt 0

section "RDMA comes after it"
lab-rdma
register_and_try "first registration"
check "nothing waits for the RDMA core" test "$(holdfast gate status --json | jq '.waiting | map(select(test("umem"))) | length')" = 0

section "RDMA goes"
ip netns exec hfa rdma link delete rxe_a
ip netns exec hfb rdma link delete rxe_b
# iw_cm and ib_cm are left behind by modprobe -r, gate or no gate.
check "modprobe -r" modprobe -r rdma_rxe rdma_ucm ib_uverbs iw_cm ib_cm
check "rdma_rxe is gone" not loaded rdma_rxe
check "ib_uverbs is gone" not loaded ib_uverbs
check "ib_core is gone" not loaded ib_core
check "the gate is armed still" test "$(holdfast gate status --json | jq -r .armed)" = true

section "and comes again"
modprobe -a ib_uverbs rdma_ucm rdma_rxe
ip netns exec hfa rdma link add rxe_a type rxe netdev veth_a
ip netns exec hfb rdma link add rxe_b type rxe netdev veth_b
register_and_try "registration after a reload"

section "XFS comes and goes"
modprobe -a nfit nd_pmem
ndctl create-namespace -f -e namespace0.0 -m fsdax -M mem >/dev/null 2>&1
mount_kind xfs
make_file /mnt/hf/file 4
start holder holdfast hold /mnt/hf/file
hear holder '^lease '
check "every break source of XFS is refused" break_all refused /mnt/hf/file
stop holder
check "and succeeds after it" break_all allowed /mnt/hf/file
umount /mnt/hf
check "XFS can be unloaded" modprobe -r xfs
check "XFS is gone" not loaded xfs
mount_kind ext4
make_file /mnt/hf/file 4
start holder holdfast hold /mnt/hf/file
hear holder '^lease '
check "every break source of ext4 is refused" break_all refused /mnt/hf/file
stop holder
umount /mnt/hf
check "ext4 can be unloaded" modprobe -r ext4
conclude
