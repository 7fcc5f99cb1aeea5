#!/usr/bin/env bash
# Programs that know nothing of Holdfast get their lease by observation, and holdfast registrations lists each with process, device, file, range, access, plan
# and state: perftest (write, read, send, atomic; --mmap, --odp, --use_hugepages), fio's rdma engine, rping; UCX's ucx_perftest.
# In the lab (any kernel, --fs xfs --hugepages 32 --cpus 1): clients.sh [perftest|odp|hugepages|fio|rping|ucx...]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

has_odp() { case $(uname -r) in 6.*) return 1 ;; esac; }
# listed COMM FILTER: the registration of that program is as the filter says.
listed() {
  local found
  found=$(registration "$1") || found="none listed: $(holdfast registrations --json)"
  jq -s -e "any(.[]; $2)" <<<"$found" || { echo "$found"; return 1; }
}
complete='.process.pid > 0 and .device == "rxe_a" and (.access | length) > 0 and .length_bytes > 0 and .plan != null'
# A lost packet is sent again after a second (-u 18), not after 67 ms: emulation is slow.
# both NAME TOOL OPTION... -- SERVER-OPTION...: server and client, until stopped.
both() {
  local tool=$1 try shared=() own=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do shared+=("$1"); shift; done
  [ $# = 0 ] || { shift; own=("$@"); }
  start server ip netns exec hfa "$tool" -d rxe_a "${shared[@]}" "${own[@]}" -u 18 -D 2 --run_infinitely
  for try in {1..20}; do
    start client nice -n 19 ip netns exec hfb "$tool" -d rxe_b "${shared[@]}" -u 18 -D 2 --run_infinitely 192.0.2.1
    if hear client 'remote address|Couldn.t connect' 2>/dev/null && [[ $heard != *Couldn* ]]; then break; fi
    stop client
    [ "$try" != 20 ]
  done
}
# Told of twice: while it pins, when not all of it is known, and with what came of it.
registered() { hear watcher "\"event\":\"registration\".*\"state\":\"protected\".*\"comm\":\"$1\".*\"files\":\[\{"; }
no_more() { stop client; stop server; hear watcher '"event":"registration_ended"'; }

# perftest TOOL FILE PLAN OPTION...
perftest() {
  local tool=$1 file=$2 plan=$3
  shift 3
  local own=(--mmap="$file")
  [ "$plan" = plain ] || own+=(--odp)
  make_file "$file" 8
  both "$tool" "$@" -- "${own[@]}"
  registered "$tool"
  check "$tool $* on $file: listed whole" listed "$tool" "$complete"
  check "$tool: protected, $plan" listed "$tool" ".state == \"protected\" and .plan == \"$plan\""
  check "$tool: the file and its bytes" listed "$tool" ".files[0].path == \"$file\" and .files[0].extents[0].first == 0 and .files[0].extents[0].end <= .length_bytes"
  check "$tool: truncate is refused" refused truncate -s 0 "$file"
  no_more
  check "$tool: truncate succeeds after it" truncate -s 0 "$file"
}

parts=" ${*:-perftest odp hugepages fio rping ucx} "
wanted() { [[ $parts = *" $1 "* ]]; }
seen() { holdfast status --json | jq .gate.registrations_seen; }

mkdir -p /mnt/tmp /mnt/huge
mount -t tmpfs -o size=256M t /mnt/tmp
mount -t hugetlbfs -o pagesize=2M h /mnt/huge
daemon_start
watch_events

if wanted perftest; then
  section "perftest --mmap"
  perftest ib_write_bw /mnt/tmp/file plain -s 65536
  perftest ib_read_bw /mnt/tmp/file plain -s 65536
  perftest ib_send_bw /mnt/tmp/file plain -s 65536
  perftest ib_atomic_bw /mnt/tmp/file plain
  perftest ib_write_bw /mnt/huge/file plain -s 1048576
fi

if wanted odp && has_odp; then
  section "perftest --mmap --odp on FS-DAX"
  perftest ib_write_bw /mnt/hf/file odp -s 65536
  perftest ib_read_bw /mnt/hf/file odp -s 65536
fi

if wanted hugepages; then
  section "perftest --use_hugepages: System V shared memory"
  both ib_write_bw -s 1048576 -- --use_hugepages
  registered ib_write_bw
  check "listed whole" listed ib_write_bw "$complete"
  check "it is a file of the kernel's own hugetlbfs: protected" listed ib_write_bw '.state == "protected" and .files[0].filesystem == "hugetlbfs"'
  check "its name says what it is" listed ib_write_bw '.files[0].path | test("SYSV")'
  no_more
fi

if wanted fio; then
  section "fio, its buffers in a shared file mapping"
  fio_file=/mnt/tmp/fio
  make_file $fio_file 8 # fio gives it no size
  start server ip netns exec hfa fio --name=server --ioengine=rdma --port=9500 --rw=read --bs=64k --size=1g --iodepth=4 --mem=mmapshared:$fio_file
  hear server 'waiting for connection'
  start client nice -n 19 ip netns exec hfb fio --name=client --ioengine=rdma --hostname=192.0.2.1 --port=9500 --verb=write --rw=write --bs=64k --size=1g --iodepth=4
  registered fio
  check "listed whole" listed fio "$complete"
  check "protected, with its file" listed fio ".state == \"protected\" and .files[0].path == \"$fio_file\""
  check "truncate is refused" refused truncate -s 0 $fio_file
  stop client
  stop server
  hear watcher '"event":"registration_ended"'
  check "truncate succeeds after it" truncate -s 0 $fio_file
fi

if wanted rping; then
  section "rping: anonymous memory"
  before=$(seen)
  start server ip netns exec hfa rping -s -a 192.0.2.1 -C 50 -S 60000
  cm_listens() { for _ in {1..100}; do rdma resource show cm_id | grep -q LISTEN && return; sleep 0.1; done; return 1; }
  check "it listens" cm_listens
  check "runs to its end" timeout 120 ip netns exec hfb rping -c -a 192.0.2.1 -C 50 -S 60000
  ended server || :
  check "its registrations were seen" test "$(seen)" -gt "$before"
  check "and nothing is listed: there is no file" test "$(holdfast registrations --json | jq '.registrations | length')" = 0
fi

if wanted ucx; then
  section "ucx_perftest over verbs: anonymous memory"
  # The transport itself. UCP would first connect by datagrams, which time out on an emulated processor ("UD endpoint ...: unhandled timeout").
  ucx() { # NAMESPACE DEVICE ARGUMENT...
    timeout 120 env UCX_IB_GID_INDEX=1 ip netns exec "$1" ucx_perftest -d "$2" -x rc_verbs -t put_bw -D zcopy -s 65536 -n 200 -p 13337 "${@:3}"
  }
  before=$(seen)
  ucx hfa rxe_a:1 >"$program_dir/ucx" 2>&1 &
  server=$!
  tcp_listens() { for _ in {1..100}; do ip netns exec hfa ss -Hltn 'sport = :13337' | grep -q . && return; sleep 0.1; done; return 1; }
  check "it listens" tcp_listens
  check "runs to its end" ucx hfb rxe_b:1 192.0.2.1
  wait $server || :
  check "its registrations were seen" test "$(seen)" -gt "$before"
  check "and nothing is listed: there is no file" test "$(holdfast registrations --json | jq '.registrations | length')" = 0
fi

check "in words, too" grep -q "No memory backed by a file is registered" <(holdfast registrations)
conclude
