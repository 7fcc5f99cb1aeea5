#!/usr/bin/env bash
# The kernel module holdfast-pin where it can't work: it refuses to load, says why, and leaves nothing behind; FS-DAX is then registered with ODP or not at all.
# In the lab: 7, --fs xfs; ./dev kmod 7 has built it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/pin-lib.sh
. "$here/pin-lib.sh"

section "Linux 6.15 and later"
check "the module does not load" fails 1 'Operation not supported' insmod "$module"
check "it says why" grep -q 'holdfast_pin: no use from Linux 6.15 on.*use an adapter with ODP' <(dmesg)
check "it is not there" not test -e /sys/module/holdfast_pin
check "nor its device" not test -e /dev/holdfast-pin
daemon_start
make_file $file 4
start holder ip netns exec hfa hf-lab-regmr --device rxe_a --no-odp --map "$file:0:$length"
hear holder '"ready"|"error"'
check "FS-DAX without ODP is refused" is '.error == "-EOPNOTSUPP"'
ended holder || :
start holder ip netns exec hfa hf-lab-regmr --device rxe_a --map "$file:0:$length"
hear holder '"ready"|"error"'
check "with ODP it is registered" is '.plan == "odp"'
stop holder
conclude
