#!/usr/bin/env bash
# What happens is kept, across daemons, and can be asked for; a full disk, a read-only folder, a damaged journal, a clock that is set and a burst of denials lose no decision, and what
# could not be recorded is said.
# Usage in the lab (any kernel, --fs tmpfs): journal.sh DENIALS
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

denials=$1
file=/mnt/hf/file
state=/tmp/state
within_bound() { for _ in {1..100}; do if "$@"; then return 0; fi; sleep 0.1; done; "$@"; }
daemon() { # OPTION...: with a state folder of its own
  start daemon holdfastd --state-dir $state "$@"
  hear daemon 'serving'
}
# told PATTERN: the daemon says so at its start, before it serves or right after.
told() { grep -q "$1" "${log_of[daemon]}" || hear daemon "$1"; }
# entries FILTER OPTION...: the data of what history has fits
entries() { local filter=$1; shift; holdfast history --json "$@" | jq -s -e "$filter"; }
count_is() { local wanted=$1; shift; local is; is=$(holdfast history --json "$@" | wc -l); [ "$is" = "$wanted" ] || { echo "$is, not $wanted"; return 1; }; }
hold() { start holder holdfast hold $file; hear holder '^lease '; }
sql() { sqlite3 -readonly $state/journal.db "$1"; }
status_of() { holdfast status --json | jq -e "$1"; }

make_file $file 4
mkdir -p $state /tmp/etc
section "what happens is kept"
daemon --config /tmp/etc
hold
check "truncate is refused" refused truncate -s 0 $file
check "the refusal is there, with its breaker" entries '.[0].data | .operation == "truncate" and .breaker.executable == "/usr/bin/truncate" and .breaker.complete' --kind denial
check "and the lease" entries 'length == 1 and .[0].data.holder.comm == "holdfast"' --kind lease --file $file
check "and the node" entries "all(.node == \"$(hostname)\" and (.boot | length) == 36)"
check "in words" grep -q "truncate .*$file  ETXTBSY" <(holdfast history --kind denial)
check "by the breaker" count_is 1 --breaker truncate
check "not by another" count_is 0 --breaker rm
check "nothing of tomorrow" count_is 0 --since "$(date -d tomorrow +%F)"
check "another user sees nothing of it" bash -c "setpriv --reuid nobody --regid nogroup --clear-groups holdfast history --json | wc -l | grep -qx 0"
check "a mistaken kind is told" fails 2 'no kind "denail"' holdfast history --kind denail
check "a mistaken time is told" fails 2 'is no time' holdfast history --since someday
check "SQL reads it" same "denial|truncate|1" "$(sql "SELECT kind, operation, count FROM history WHERE kind = 'denial'")"
check "guarding is there, with who did it" bash -c 'holdfast guard /mnt/hf --seal reflink >/dev/null && holdfast history --json --kind configuration | jq -s -e ".[-1].data | .what == \"guard\" and .done and .requester.comm == \"holdfast\""'
echo '[nonsense]' >/tmp/etc/holdfast.toml
check "a configuration with a mistake is refused" fails 2 'no key "nonsense"' holdfast reload
check "and that is there" entries '.[-1].data | .what == "reload" and .done == false and (.error | test("nonsense"))' --kind configuration
rm /tmp/etc/holdfast.toml
start follower holdfast history --follow --json --kind denial
check "a follower is told what was" hear follower '"kind":"denial"'
check "truncate is refused" refused truncate -s 0 $file
check "a follower hears of it" hear follower '"kind":"denial"'
stop follower

holds_to() { holdfast status --json | python3 -c 'import json, jsonschema, sys; jsonschema.validate(json.load(sys.stdin), json.load(open(sys.argv[1])))' "$1"; }
check "the status holds to its schema" holds_to "$here/../../docs/status.schema.json"

section "metrics"
scrape() { curl -sS --max-time 10 --unix-socket /run/holdfast/metrics.sock "$@"; }
scrape http://localhost/metrics >/tmp/metrics || :
check "promtool takes them" promtool check metrics </tmp/metrics
check "the refusals are counted" grep -qE '^holdfast_denials_total\{source="truncate"\} 2$' /tmp/metrics
check "the lease is" grep -qE '^holdfast_leases\{kind="process"\} 1$' /tmp/metrics
check "the buffers have a size" grep -qE '^holdfast_ring_buffer_size_bytes\{buffer="denials"\} 4194304$' /tmp/metrics
check "and are read empty" grep -qE '^holdfast_ring_buffer_waiting_bytes\{buffer="denials"\} 0$' /tmp/metrics
check "OpenMetrics ends as it must" grep -q '^# EOF$' <(scrape -H 'Accept: application/openmetrics-text' http://localhost/metrics)
check "it is healthy" same ok "$(scrape http://localhost/health)"
sysctl -q kernel.bpf_stats_enabled=1
check "truncate is refused" refused truncate -s 0 $file
sysctl -q kernel.bpf_stats_enabled=0
check "the time of the gate's programs is told when the kernel counts" grep -qE '^holdfast_program_runs_total\{program="hf_inode_setattr"\} [1-9]' <(scrape http://localhost/metrics)
printf '[metrics]\nlisten = "0.0.0.0:9739"\n' >/tmp/etc/holdfast.toml
check "what other machines could reach is refused" fails 2 'can.t be served on "0.0.0.0:9739"' holdfast reload
printf '[metrics]\nlisten = "127.0.0.1:9739"\n' >/tmp/etc/holdfast.toml
check "an address of this machine is taken" holdfast reload
ip link set lo up
check "and served" grep -q holdfast_gate_up <(curl -sS --max-time 10 http://127.0.0.1:9739/metrics)
check "and the socket is gone" test ! -e /run/holdfast/metrics.sock
prometheus_here() { # one of Debian's, which scrapes it
  cat >/tmp/prometheus.yml <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["$here/../../packaging/prometheus/holdfast.rules.yml"]
scrape_configs: [{job_name: holdfast, static_configs: [{targets: ["127.0.0.1:9739"]}], relabel_configs: [{target_label: instance, replacement: node-a}]}]
YAML
  prometheus --config.file=/tmp/prometheus.yml --storage.tsdb.path=/tmp/prometheus --web.listen-address=127.0.0.1:9090 >/tmp/prometheus.log 2>&1 &
}
asked() { curl -sS --max-time 10 'http://127.0.0.1:9090/api/v1/query' --data-urlencode "query=$1" | jq -e ".data.result[0] | $2"; }
prometheus_here
check "Prometheus scrapes it" within_bound asked 'holdfast_leases{kind="process"}' '.value[1] == "1" and .metric.instance == "node-a"'
check "and joins the machine to a number" within_bound asked 'holdfast_gate_up * on (instance) group_left (node, boot) holdfast_node_info' ".metric.node == \"$(hostname)\""
kill %% 2>/dev/null || :
rm /tmp/etc/holdfast.toml
check "the default is back" bash -c 'holdfast reload >/dev/null && test -S /run/holdfast/metrics.sock'

section "across daemons"
daemon_kill
ln -sfn $state /var/lib/holdfast
check "without a daemon root reads it still" count_is 3 --kind denial
check "and is told so" grep -q "isn't running" <(holdfast history --kind denial 2>&1 >/dev/null)
start follower holdfast history --follow --json --journal $state/journal.db --kind daemon
check "what was is told" hear follower '"what":"started"'
daemon --config /tmp/etc
check "a follower hears of the next daemon" hear follower '"took_over":true'
stop follower
check "both are there" count_is 2 --kind daemon
check "the lease stands, and is known to have stood" entries 'length == 2 and .[1].data.found' --kind lease
stop holder
check "its end is there" within_bound count_is 1 --kind lease_ended

section "an escape"
# A journal of the system that listens, as journald does.
mkdir -p /run/systemd/journal
start journald socat -u UNIX-RECV:/run/systemd/journal/socket -
within_bound test -S /run/systemd/journal/socket
hold
rm /sys/fs/bpf/holdfast/links/hf_inode_setattr*
check "truncate gets past the gate" truncate -s 0 $file
check "the system's journal gets it at critical priority" hear journald 'PRIORITY=2'
check "... with fields" hear journald 'HOLDFAST_BREAKER_EXE=/usr/bin/truncate'
check "... and the choke point" within_bound bash -c "holdfast escapes --json | jq -e '.escapes | length > 0'"
check "the journal has it" entries 'length > 0 and .[0].data.severity == "critical"' --kind escape
stop journald
stop holder
daemon_kill
daemon --config /tmp/etc
make_file $file 4
check "the next daemon knows of it" bash -c "holdfast escapes --json | jq -e '.escapes | length > 0'"
check "and has put the hook back" refused holdfast hold $file -- truncate -s 0 $file
stop daemon

section "a full disk"
state=/tmp/small
mkdir $state
mount -t tmpfs -o size=1M small $state
make_file $file 4
daemon --config /tmp/etc
hold
check "truncate is refused" refused truncate -s 0 $file
check "and kept" within_bound count_is 1 --kind denial
dd if=/dev/zero of=$state/filler bs=4k 2>/dev/null || :
for _ in {1..200}; do refused truncate -s 0 $file >/dev/null || break; done
check "truncate is refused on and on" refused truncate -s 0 $file
check "the daemon says that it can't write" within_bound status_of '.journal.trouble != null'
check "and what waits" status_of '.journal.waiting > 0 and .journal.lost == 0'
check "history says so" grep -q "can't be written now" <(holdfast history --last 1 2>&1 >/dev/null)
hear daemon "can't be written"
rm $state/filler
check "with room again, all is written" within_bound count_is 202 --kind denial
check "and nothing was lost" status_of '.journal.trouble == null and .journal.lost == 0'
hear daemon 'is written again'

section "a folder that can't be written"
stop holder
stop daemon
mount -o remount,ro $state
daemon --config /tmp/etc
told "can't be written"
hold
check "truncate is refused" refused truncate -s 0 $file
check "and waits to be kept" status_of '.journal.waiting > 0'
mount -o remount,rw $state
check "and is kept when it can be" within_bound count_is 203 --kind denial

section "a damaged journal"
stop holder
daemon_kill
dd if=/dev/urandom of=$state/journal.db bs=4k count=8 conv=notrunc status=none
rm -f $state/journal.db-wal $state/journal.db-shm
daemon --config /tmp/etc
told 'set aside'
hold
check "truncate is refused" refused truncate -s 0 $file
check "and kept in a new one" within_bound count_is 1 --kind denial
check "which says why it is new" entries 'any(.data.what == "journal-set-aside")' --kind daemon
check "the old one is there" test -s $state/journal.db.damaged
umount -l $state 2>/dev/null || :

section "a clock that is set"
stop holder
stop daemon
state=/tmp/clock
mkdir $state
daemon --config /tmp/etc
hold
check "truncate is refused" refused truncate -s 0 $file
check "and kept" within_bound count_is 1 --kind denial
date -s '+400 days' >/dev/null
check "truncate is refused in another year" refused truncate -s 0 $file
check "and both are kept" within_bound count_is 2 --kind denial
check "the setting, too" within_bound entries 'any(.data.what == "clock-set" and .data.by_ms > 30000000000)' --kind daemon
date -s '-800 days' >/dev/null
check "truncate is refused in the past" refused truncate -s 0 $file
check "the order stays" entries '[.[].id] == ([.[].id] | sort) and length == 3' --kind denial
date -s '+400 days' >/dev/null
# As far ahead as it goes with 32 bits, and further: nothing that waits for "never" may find it in the past.
used_ticks() { awk '{print $14 + $15}' "/proc/${pid_of[daemon]}/stat"; }
date -s '+20 years' >/dev/null
check "a setting far ahead is kept" within_bound entries 'any(.data.what == "clock-set" and .data.by_ms > 600000000000)' --kind daemon
before=$(used_ticks)
sleep 1 # what is measured is this time
check "and the daemon rests" test $(($(used_ticks) - before)) -lt 50
date -s '-20 years' >/dev/null

section "$denials denials in a burst"
before=$(status_of .gate.denials)
openings=$(python3 - $file "$denials" <<'PYTHON'
import errno, os, sys
path, count = sys.argv[1], int(sys.argv[2])
opened = 0
for _ in range(count):
    try:
        os.truncate(path, 0)
        opened += 1
    except OSError as error:
        if error.errno != errno.ETXTBSY: raise
print(opened)
PYTHON
)
check "not one got through" test "$openings" = 0
check "the gate counted each" test "$(($(status_of .gate.denials) - before))" = "$denials"
recorded() { sql "SELECT coalesce(sum(count), 0) FROM history WHERE kind = 'denial' OR (kind = 'lost' AND operation IN ('denials', 'denial'))"; }
all_told() { holdfast history --last 1 >/dev/null && [ "$(recorded)" = $((denials + 3)) ]; }
check "each is in the journal, or counted there as lost" within_bound all_told
echo "  kept: $(sql "SELECT count(*) FROM history WHERE kind = 'denial'"), lost by the kernel's buffer: $(sql "SELECT coalesce(sum(count), 0) FROM history WHERE kind = 'lost' AND operation = 'denials'"), by the queue: $(sql "SELECT coalesce(sum(count), 0) FROM history WHERE kind = 'lost' AND operation = 'denial'"); $(du -h $state/journal.db | cut -f1)"
conclude
