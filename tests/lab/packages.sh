#!/usr/bin/env bash
# From the packages alone: install, guard, a registration, a refusal, its history, an upgrade under a standing lease, and a purge that leaves nothing pinned.
# In the lab (any kernel, --fs tmpfs), after ./dev package: packages.sh FOLDER
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

folder=$1
file=/mnt/hf/file
# Nothing of the build is to be run, but for the program that registers.
register=$(command -v hf-lab-register)
PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset LD_LIBRARY_PATH
export DEBIAN_FRONTEND=noninteractive
within_bound() { for _ in {1..100}; do if "$@"; then return 0; fi; sleep 0.1; done; "$@"; }
packages() { echo "$folder"/{holdfast_,libholdfast1_,libholdfast-verbs1_,libholdfast-dev_,holdfast-doc_}*.deb; }
protected() { holdfast registrations --json | jq -e '.registrations[0].state == "protected"'; }

section "install"
check "there is nothing before" not command -v holdfast
# shellcheck disable=SC2046
check "the packages install" dpkg -i $(packages)
check "command and daemon are there" command -v holdfast holdfastd
check "what it needs is there" not grep -q 'not found' <(ldd /usr/sbin/holdfastd /usr/bin/holdfast)
check "pages are there" man -w holdfast-history holdfastd holdfast.toml hf_acquire
# shellcheck disable=SC2016
check "bash completes verbs" bash -c 'source /usr/share/bash-completion/completions/holdfast; COMP_WORDS=(holdfast hist); COMP_CWORD=1; _holdfast; [ "${COMPREPLY[*]}" = history ]'
check "the group is declared" grep -qx 'g holdfast - -' /usr/lib/sysusers.d/holdfast.conf
check "the configuration is accepted" holdfast config check

section "guard, registration, refusal, history"
start daemon holdfastd
hear daemon serving
check "guard" holdfast guard /mnt/hf --seal reflink
make_file $file 4
start registered ip netns exec hfa "$register" --device rxe_a --map $file:0:4194304
hear registered '"ready": true'
check "the registration is protected" within_bound protected
check "truncate is refused" refused truncate -s 0 $file
check "and stands in the history" bash -c 'holdfast history --json --kind denial | jq -s -e "length == 1 and .[0].data.breaker.executable == \"/usr/bin/truncate\""'

section "upgrade"
later=/tmp/later
mkdir -p $later/x
dpkg-deb -R "$folder"/holdfast_*.deb $later/x
sed -i 's/^Version: .*/&+1/' $later/x/DEBIAN/control
dpkg-deb -b $later/x $later/holdfast.deb >/dev/null
check "the next version installs" dpkg -i $later/holdfast.deb
check "the gate has not opened" refused truncate -s 0 $file
daemon_kill
start daemon holdfastd
hear daemon 'took over'
check "the registration is protected by the next daemon" within_bound protected
check "truncate is refused" refused truncate -s 0 $file

section "purge"
stop daemon
check "purge" dpkg --purge holdfast
check "nothing is pinned" test ! -e /sys/fs/bpf/holdfast
check "no probe is left" not grep -q holdfast /sys/kernel/tracing/kprobe_events
check "no state is left" not ls /var/lib/holdfast /etc/holdfast /run/holdfast
check "truncate succeeds" truncate -s 1M $file
stop registered
check "the libraries go, too" dpkg --purge libholdfast-dev libholdfast-verbs1 libholdfast1 holdfast-doc
check "nothing is left" not ls /usr/bin/holdfast /usr/include/holdfast
conclude
