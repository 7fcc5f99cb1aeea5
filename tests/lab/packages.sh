#!/usr/bin/env bash
# From the packages alone, under a real systemd: install, guard, a registration, a refusal, its history, the service's own troubles, an upgrade under a standing lease, a purge that leaves
# nothing pinned. In the lab, in a root of its own: lab/run --root "$(lab/make-root)" --fs tmpfs --script tests/lab/packages.sh -- FOLDER-OF-PACKAGES
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

folder=$1
file=/mnt/hf/file
register=${LAB_BUILD:?}/bin/hf-lab-register # the only program that is not from a package: an ordinary one of verbs
export DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER=
within_bound() { for _ in {1..300}; do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; "$@"; }
package() { echo "$folder"/"$1"_*.deb; }
protected() { holdfast registrations --json | jq -e '.registrations[0].state == "protected"'; }
serves() { holdfast status --json | jq -e '.gate.abi > 0'; }
pid_of_daemon() { systemctl show -P MainPID holdfastd; }
another_pid() { local now; now=$(pid_of_daemon); [ "$now" != 0 ] && [ "$now" != "$1" ] && serves; }
journal_has() { journalctl -u holdfastd -o cat | grep -q "$1"; }
none_of() { local path; for path; do [ ! -e "$path" ] || { echo "$path is there"; return 1; }; done; }
killed_for_memory() { journalctl -k -o cat | grep -q 'Memory cgroup out of memory.*(holdfastd)'; }
# breaks_meanwhile COMMAND...: the file is attacked all the time that it takes; false where it fails or one attack gets through
breaks_meanwhile() {
  local status=0 opened=0 tries=0
  "$@" >/tmp/meanwhile 2>&1 &
  while kill -0 $! 2>/dev/null; do
    tries=$((tries + 1))
    if truncate -s 0 $file 2>/dev/null; then opened=$((opened + 1)); fi
  done
  wait $! || status=$?
  echo "$tries tries, $opened openings; status $status"
  tail -n 20 /tmp/meanwhile
  [ $status = 0 ] && [ $opened = 0 ] && [ $tries -gt 0 ]
}

section "install"
within_bound systemctl is-active basic.target
check "there is nothing before" not command -v holdfast
check "the packages install" dpkg -i "$(package libholdfast1)" "$(package libholdfast-verbs1)" "$(package libholdfast-dev)" "$(package holdfast-doc)" "$(package holdfast)"
check "what they need is there" not grep -q 'not found' <(ldd /usr/sbin/holdfastd /usr/bin/holdfast)
check "the service runs" within_bound systemctl is-active holdfastd
check "and is enabled, with its socket" systemctl is-enabled holdfastd holdfastd.socket
check "it serves" within_bound serves
check "and told systemd so" grep -q 'gate armed' <(systemctl show -P StatusText holdfastd)
check "the group is there" getent group holdfast
check "the configuration is accepted" holdfast config check
check "pages are there" test -s /usr/share/man/man1/holdfast-history.1.gz -a -s /usr/share/man/man8/holdfastd.8.gz -a -s /usr/share/man/man5/holdfast.toml.5.gz -a -s /usr/share/man/man3/hf_acquire.3.gz
check "completion is" test -s /usr/share/bash-completion/completions/holdfast -a -s /usr/share/zsh/vendor-completions/_holdfast -a -s /usr/share/fish/vendor_completions.d/holdfast.fish

section "guard, registration, refusal, history"
lab-rdma
check "guard" holdfast guard /mnt/hf --seal reflink
make_file $file 4
start registered ip netns exec hfa "$register" --device rxe_a --map $file:0:4194304
hear registered '"ready": true'
check "the registration is protected" within_bound protected
check "truncate is refused" refused truncate -s 0 $file
check "and stands in the history" within_bound bash -c 'holdfast history --json --kind denial | jq -s -e "length == 1 and .[0].data.breaker.executable == \"/usr/bin/truncate\""'
check "the breaker's unit is told" bash -c 'holdfast history --json --kind denial | jq -s -e ".[0].data.breaker.unit == \"lab.service\""'

section "the service's own troubles"
before=$(pid_of_daemon)
kill -KILL "$before"
check "killed, it is started again" within_bound another_pid "$before"
check "and took over" within_bound journal_has 'took over the armed gate'
before=$(pid_of_daemon)
systemctl set-property --runtime holdfastd.service MemoryMax=256K
check "out of memory, it is killed" within_bound killed_for_memory
check "meanwhile the gate decides" refused truncate -s 0 $file
systemctl set-property --runtime holdfastd.service MemoryMax=infinity
systemctl reset-failed holdfastd
systemctl start holdfastd
check "with memory again it serves" within_bound serves
check "and knows the registration" within_bound protected
mkdir -p /run/systemd/system/holdfastd.service.d
printf '[Service]\nWatchdogSec=4\nTimeoutAbortSec=5\n' >/run/systemd/system/holdfastd.service.d/quick.conf
systemctl daemon-reload
systemctl restart holdfastd
check "it serves" within_bound serves
before=$(pid_of_daemon)
kill -STOP "$before"
check "hung, it is replaced by the watchdog" within_bound another_pid "$before"
check "truncate is refused" refused truncate -s 0 $file
rm -r /run/systemd/system/holdfastd.service.d
systemctl daemon-reload
systemctl stop holdfastd
check "stopped, its socket starts it for the next client" within_bound serves
check "and it is the service" within_bound systemctl is-active holdfastd

section "upgrade"
later=/tmp/later
mkdir -p $later/x
dpkg-deb -R "$(package holdfast)" $later/x
sed -i 's/^Version: .*/&+1/' $later/x/DEBIAN/control
dpkg-deb -b $later/x $later/holdfast.deb >/dev/null
before=$(pid_of_daemon)
check "the next version installs, and the gate never opens" breaks_meanwhile dpkg -i $later/holdfast.deb
check "the next daemon runs" within_bound another_pid "$before"
check "the registration is protected by it" within_bound protected
check "the older version goes over it" breaks_meanwhile dpkg -i "$(package holdfast)"
check "the registration is protected by that" within_bound protected
check "truncate is refused" refused truncate -s 0 $file

section "purge"
check "purge" dpkg --purge holdfast
check "nothing is pinned" test ! -e /sys/fs/bpf/holdfast
check "no probe of it is left" not grep -q holdfast /sys/kernel/tracing/kprobe_events
check "no state is left" none_of /var/lib/holdfast /etc/holdfast /run/holdfast
check "no unit is left" not systemctl cat holdfastd holdfastd.socket
check "truncate succeeds" truncate -s 1M $file
stop registered
check "the libraries go, too" dpkg --purge libholdfast-dev libholdfast-verbs1 libholdfast1 holdfast-doc
check "nothing is left" none_of /usr/bin/holdfast /usr/include/holdfast /usr/share/doc/holdfast
conclude
