#!/usr/bin/env bash
# A kernel without BPF LSM gets one clear message, and nothing is attached. In the lab: --no-bpf-lsm.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

check "bpf is not among the security modules" not grep -qw bpf /sys/kernel/security/lsm
check "holdfastd says what is missing and what to do" fails 3 'lsm=' holdfastd
said=$(holdfastd 2>&1 || :)
check "it says it once" test "$(grep -c . <<<"$said")" -le 3
check "nothing is pinned" test ! -e /sys/fs/bpf/holdfast
check "no program is loaded" test -z "$(bpftool prog show 2>/dev/null | grep -E 'name hf_|name holdfast' || :)"
check "no probe is left behind" test -z "$(grep -i holdfast /sys/kernel/tracing/kprobe_events || :)"
check "no socket is left behind" test ! -S /run/holdfast/holdfast.sock
check "holdfast gate status says so too" fails 5 'lsm=' holdfast gate status
check "holdfast leases says that no daemon runs" fails 3 'holdfastd' holdfast leases
status=0
report=$(holdfast qualify /tmp --no-probe --json) || status=$?
check "holdfast qualify says that it is not" test $status = 1
check "and names the security module and its mend" jq -e '.findings[] | select(.id == "kernel.bpf-lsm") | .verdict == "fail" and (.mends[0] | contains("lsm="))' <<<"$report"
truncate -s 1M /tmp/file
check "files are as ever" truncate -s 0 /tmp/file
conclude
