#!/usr/bin/env bash
# Whose lease it is and when it ends: every way to end a process, registrations over several mappings and files, more extents than the gate keeps apart,
# several holders of one range, the holder itself, its children, a uverbs context that goes to another process; and who the breaker was.
# In the lab: any kernel, --fs tmpfs.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file other=/mnt/hf/other
one=$file:0:1048576

# register NAME OPTION...
register() {
  local name=$1
  shift
  start "$name" ip netns exec hfa hf-lab-register --device rxe_a "$@"
  hear "$name" '"ready": true'
}
# order NAME TEXT: leaves its answer in $heard.
order() {
  tell "$1" "$2"
  hear "$1" '"order"'
}
ends() { hear watcher '"event":"registration_ended"'; }
extents() { holdfast leases --json | jq -c --arg path "$1" '[.files[] | select(.path == $path) | .protected[] | [.first, .end]]'; }

chmod 777 /mnt/hf
make_file $file 4
make_file $other 4
daemon_start
watch_events

section "the lease ends with the process"
for signal in TERM KILL; do
  register holder --map $one
  check "refused while it runs" refused truncate -s 0 $file
  stop holder $signal
  ends
  check "allowed after SIG$signal" truncate -s 4M $file
done
register holder --map $one
order holder dereg
ends
check "allowed after ibv_dereg_mr" break_all allowed $file --only break
stop holder
register holder --map $one
order holder unmap
check "refused after munmap: the registration is what counts" refused truncate -s 0 $file
order holder "exec sleep 600"
ends
check "allowed after exec" truncate -s 0 $file
stop holder
make_file $file 4

case $(uname -r) in
  6.1.*) ;; # pins read-only shared mappings by force of writing, which it then refuses
  *)
    section "a reader may not stop the owner"
    register reader --map $one --read-only
    check "its registration is observed" test "$(state_of hf-lab-register)" = observed
    check "and has no lease" same "[]" "$(extents $file)"
    check "the owner's truncate succeeds" truncate -s 8M $file
    check "and a smaller one" truncate -s 4M $file
    stop reader
    ends
    ;;
esac

section "several mappings, several files"
register holder --map $file:0:65536 --map $file:1048576:65536 --map $other:0:65536
check "one registration over three mappings is protected" test "$(state_of hf-lab-register)" = protected
check "two files" test "$(leased_files)" = 2
check "the file's two extents are exact" same '[[0,65536],[1048576,1114112]]' "$(extents $file)"
check "refused on the second mapping" refused fallocate -p -o 1048576 -l 4096 $file
check "refused on the second file" refused truncate -s 0 $other
check "allowed between them" fallocate -p -o 65536 -l 4096 $file
check "allowed behind them" truncate -s 2M $file
stop holder
ends
make_file $file 4

section "many extents"
register holder --map $file:0:4096 --repeat 64 --stride 16384 --separate
check "64 extents stay exact" test "$(extents $file | jq length)" = 64
check "a punch between two is allowed" fallocate -p -o 4096 -l 4096 $file
check "a punch of the last is refused" refused fallocate -p -o $((63 * 16384)) -l 4096 $file
stop holder
for _ in {1..64}; do ends; done
make_file $file 4
register holder --map $file:0:4096 --repeat 100 --stride 16384 --separate
check "all 100 are registered" test "$(holdfast registrations --json | jq '[.registrations[] | select(.state == "protected")] | length')" = 100
check "past that, neighbours merge" test "$(extents $file | jq length)" -lt 100
check "and at least 64 stay" test "$(extents $file | jq length)" -ge 64
check "holdfast leases says so" test "$(holdfast leases --json | jq '.files[0].merged')" -gt 0
check "in words, too" grep -qi merge <(holdfast leases)
for i in 0 50 99; do check "extent $i is refused" refused fallocate -p -o $((i * 16384)) -l 4096 $file; done
check "behind the last is allowed" fallocate -p -o 2M -l 4096 $file
order holder dereg
for _ in {1..100}; do ends; done
check "nothing is left of them" test "$(leased_files)" = 0
stop holder
make_file $file 4

section "as many ranges as a lease may have"
make_file $file 8
ranges=()
for ((i = 0; i < 1024; i++)); do ranges+=(--range $((i * 8192)):4096); done
start api holdfast hold $file "${ranges[@]}"
hear api '^lease '
check "one lease of 1,024" test "$(holdfast leases --json | jq -c '[.files[].leases[] | .kind]')" = '["process"]'
for i in 0 511 1023; do check "range $i is refused" refused fallocate -p -o $((i * 8192)) -l 4096 $file; done
stop api
check "nothing is left of them" truncate -s 0 $file
check "one more is too many" fails 2 '1025 ranges' holdfast hold $file "${ranges[@]}" --range 0:4096
make_file $file 4

section "several holders of one range"
register first --map $one
register second --map $one
stop first
ends
check "refused while the second holds" refused truncate -s 0 $file
start third holdfast hold $file --range 0:1M
hear third '^lease '
stop second
ends
check "refused while holdfast hold holds" refused truncate -s 0 $file
stop third
hear watcher '"event":"lease_ended"'
check "allowed after the last" truncate -s 4M $file
make_file $file 4

section "the holder itself, and its children"
register holder --map $one
order holder "truncate $file 0"
check "the holder gets EDEADLK" same '"-EDEADLK"' "$(jq .result <<<"$heard")"
order holder "punch $file 0 4096"
check "for a punch, too" same '"-EDEADLK"' "$(jq .result <<<"$heard")"
order holder "fork-truncate $file 0"
check "its child gets ETXTBSY" same '"-ETXTBSY"' "$(jq .result <<<"$heard")"
order holder fork-stay
child=$(number detail "$heard")
stop holder KILL
check "a child that has the uverbs descriptor keeps the lease" refused truncate -s 0 $file
kill -KILL "$child"
ends
check "until it ends" truncate -s 4M $file
make_file $file 4

section "a uverbs context that goes to another process"
register holder --map $one
start heir hf-lab-register --receive /tmp/heir.sock
hear heir '"ready": true'
order holder "pass /tmp/heir.sock"
hear heir '"received": true'
stop holder KILL
check "the lease stays" refused truncate -s 0 $file
tell heir quit
ended heir
ends
check "and ends with the other process" truncate -s 4M $file
make_file $file 4

section "who it was"
register holder --map $one
# denial_of PID: the event, as JSON, of that very process.
denial_of() { hear watcher "\"event\":\"denial\".*\"breaker\":\{[^}]*\"pid\":$1,"; }
named() { # FILTER
  jq -e "$1" <<<"$heard"
}
complete='.breaker | .complete and .comm and .executable and .command_line and .user and .cgroup and .system_call.name and .parents[0].comm'
attempt() { # OPERATION OPTION...: its process id in $pid
  local answer
  answer=$(hf-lab-break "$1" $file --length 1048576 "${@:2}" || :)
  pid=$(jq .pid <<<"$answer")
}
attempt truncate
denial_of "$pid"
check "a process that is gone: complete" named "$complete"
check "the system call" named '.breaker.system_call.name == "truncate"'
check "the operation" named '.operation == "truncate" and .error == "ETXTBSY"'
check "the command line" named '.breaker.command_line | tostring | test("hf-lab-break.*truncate")'
attempt punch --user nobody
denial_of "$pid"
check "another user: complete" named "$complete"
check "named" named '.breaker.user == "nobody" and .operation == "punch"'
attempt uring-punch-worker
denial_of "$pid"
check "an io_uring worker: complete" named "$complete"
check "is told as one, with whose work it does" named '.breaker.kind == "io_uring-worker" and (.breaker.executable | test("hf-lab-break"))'
why=$(holdfast why $file --json)
check "holdfast why names the last one" test "$(jq .last_denial.breaker.pid <<<"$why")" = "$pid"
stop holder
conclude
