#!/usr/bin/env bash
# The examples as a reader would run them, in C and C++, against their peers: on each filesystem the plan that it got, or the exact reason why none;
# the log that is recovered after a crash; the file that is given back and taken again.
# In the lab: any kernel, --fs xfs --hugepages 16.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

has_odp() { case $(uname -r) in 6.*) return 1 ;; esac; }
target() { # NAME PROGRAM FILE
  start "$1" ip netns exec hfa "$2" "$3" 192.0.2.1
  hear "$1" 'listening'
}
peer() { ip netns exec hfb timeout 60 "$@"; }
in_file() { head -c "${#2}" "$1" | grep -qF "$2"; }
plan_on() { case $1 in /mnt/hf) has_odp && echo odp || echo refused ;; *) echo plain ;; esac; }

mkdir -p /mnt/tmp /mnt/huge
mount -t tmpfs -o size=256M t /mnt/tmp
mount -t hugetlbfs -o pagesize=2M h /mnt/huge
daemon_start

for language in c cpp; do
  section "01-register, $language"
  for mount in /mnt/tmp /mnt/huge /mnt/hf; do
    make_file $mount/file 4
    plan=$(plan_on $mount)
    target register example_register_$language $mount/file
    peer example_write 192.0.2.1 "hello by $plan" >"$program_dir/peer" 2>&1 & writer=$!
    if [ "$plan" = refused ]; then
      if hear register '^registered ' 2>/dev/null; then check "$mount is refused" false; fi
      check "$mount: the exact reason" grep -q "FS-DAX.*no ODP" "${log_of[register]}"
      check "$mount: and what mends it" grep -q "Next: use an adapter with ODP" "${log_of[register]}"
      wait $writer || :
      ended register || :
      continue
    fi
    check "$mount: plan $plan" hear register "registered .*: plan $plan, lease [0-9]+"
    check "$mount: the text comes" hear register "the peer wrote: hello by $plan"
    wait $writer || check "$mount: the writer" cat "$program_dir/peer"
    ended register || check "$mount: the target ends well" false
    [ $mount = /mnt/huge ] || check "$mount: it is in the file" in_file $mount/file "hello by $plan"
    check "$mount: nothing is leased afterwards" test "$(leased_files)" = 0
  done
done

ring=/mnt/hf/ring
has_odp || ring=/mnt/tmp/ring
for language in c cpp; do
  section "02-ring-buffer, $language, on ${ring%/*}"
  rm -f $ring
  truncate -s 32K $ring
  target ring example_ring_$language $ring
  check "an empty log" grep -q "recovered: 0 records" "${log_of[ring]}"
  start append ip netns exec hfb example_append 192.0.2.1
  for i in 1 2 3 4 5 6 7 8 9 10; do
    tell append "record $i"
    check "record $i is durable" hear append "durable: $i"
  done
  check "truncate is refused" refused truncate -s 0 $ring
  stop ring KILL
  stop append
  # Half a record, as a crash in the middle of one would leave it: number 11 in the third place.
  printf '\013' | dd of=$ring bs=1 seek=$((2 * 4096)) conv=notrunc status=none
  target ring example_ring_$language $ring
  check "recovered to the last whole record" grep -q "recovered: 10 records; the last: record 10" "${log_of[ring]}"
  start append ip netns exec hfb example_append 192.0.2.1
  tell append "after the crash"
  check "goes on after it" hear append "durable: 11"
  stop append
  stop ring
  target ring example_ring_$language $ring
  check "which is recovered, too" grep -q "recovered: 11 records; the last: after the crash" "${log_of[ring]}"
  stop ring
done

file=/mnt/tmp/pool
for language in c cpp; do
  section "03-recall, $language"
  make_file $file 4
  target recall example_recall_$language $file
  start stream ip netns exec hfb example_stream 192.0.2.1
  hear recall 'held: 4194304 bytes'
  hear stream 'written: 64'
  check "truncate is refused" refused truncate -s 0 $file
  check "and the holder hears by whom" hear recall 'refused: truncate by truncate'
  tell recall recall
  check "the peer is quiet" hear stream 'quiet after'
  check "the holder lets go" hear recall 'released'
  check "truncate succeeds" truncate -s 0 $file
  check "and growing" truncate -s 8M $file
  tell recall resume
  check "held again, as it is now" hear recall 'held: 8388608 bytes'
  check "the peer goes on" hear stream 'resumed'
  check "and writes" hear stream 'written:'
  check "truncate is refused again" refused truncate -s 0 $file
  check "an administrator asks for the file, and changes it" holdfast recall $file --wait 60s -- truncate -s 4M $file
  check "the peer was quiet" hear stream 'quiet after'
  check "the holder had let go" hear recall 'released'
  check "and holds it again when the recall is over" hear recall 'held: 4194304 bytes'
  check "the peer goes on" hear stream 'resumed'
  check "truncate is refused to all others again" refused truncate -s 0 $file
  tell recall quit
  ended recall || :
  stop stream

  target recall example_recall_$language $file
  start stream ip netns exec hfb example_stream 192.0.2.1 --deaf
  hear stream 'written: 64'
  start order holdfast recall $file --wait 60s -- truncate -s 0 $file
  check "a peer that does not listen is fenced" hear recall 'did not answer: fenced by (rereg-domain|dereg)'
  check "and the file is free" hear recall 'released'
  check "it is cut off" hear stream 'cut off'
  status=0
  ended order || status=$?
  check "the administrator has it" test $status = 0
  check "changed" test "$(stat -c %s $file)" = 0
  stop recall
  stop stream
done
conclude
