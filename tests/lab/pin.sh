#!/usr/bin/env bash
# The kernel module holdfast-pin: FS-DAX files registered without ODP, and every operation that would wait for the pins refused at once, with its breaker's name.
# Then rounds of kill, truncate, punch, clone, fsr, freeze and umount against it, by a seed.
# Usage in the lab (--fs none, 6.1 or 6.12; ./dev kmod has built it): pin.sh ROUNDS[:SEED] xfs|xfs-plain|ext4...
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/pin-lib.sh
. "$here/pin-lib.sh"

IFS=: read -r rounds seed <<<"$1"
seed=${seed:-$RANDOM}
RANDOM=$seed
rounds_done=0
shift

story() { # FILESYSTEM
  local word lost began other pieces
  section "$1: registered without ODP"
  mount_pin "$1"
  # Its inode number is the lowest: of two files that share blocks, XFS locks that one first.
  make_file $before 4
  make_fragmented $file 4
  make_file $beside 4
  register
  check "holdfast devices names it" grep -q pinned <(holdfast devices rxe_a --json | jq -c '.adapters[0].mounts[] | select(.mount == "/mnt/hf")')
  check "by holdfast-pin" is '.plan == "pinned" and .leases == 1'
  check "a registration on the file itself" jq -e "select(.state == \"protected\") | .files[0].path == \"$file\"" <(registration hf-lab-regmr)
  write_remotely 4
  check "every break source is refused" break_all refused $file --offset 0 --length $length --only break
  jq -c 'select(.summary)' "$program_dir/attempts" | sed 's/^/        /'
  check "the last one by its name" last_denial '.breaker.comm != null and .breaker.executable != null and .breaker.command_line != null'

  section "$1: all of the file, since the filesystem waits for pins in all of it"
  check "a growing truncate" refused_at_once truncate -s 8M $file
  check "with the reason" last_denial '.whole_file | test("holdfast-pin")'
  check "and its breaker" last_denial '.operation == "truncate" and .breaker.comm == "truncate"'
  check "a truncate to the size it has" refused_at_once truncate -s 4M $file
  check "a punch beside the range" refused_at_once fallocate -p -o 3145728 -l 4096 $file
  check "an allocation beside the range" refused_at_once fallocate -o 8388608 -l 4096 $file
  order "truncate 8388608"
  check "the holder's own truncate" is '.result == "-EDEADLK"'
  if [ "$1" = xfs ]; then
    check "the files are in this order" test "$(stat -c %i $before)" -lt "$(stat -c %i $file)" -a "$(stat -c %i $file)" -lt "$(stat -c %i $beside)"
    check "a clone of it" refused_at_once cp --reflink=always $file /mnt/hf/clone
    for other in $before $beside; do
      check "a clone of it into $other" clone_refused $file "$other"
      check "a clone into it of $other" clone_refused "$other" $file
    done
  fi
  pieces=$(blocks_of $file)
  check "the file is in pieces" test "$(wc -l <<<"$pieces")" -gt 1
  case $1 in
    xfs*) check "xfs_fsr waits for nothing" at_once xfs_fsr -v $file ;;
    ext4) check "e4defrag waits for nothing" at_once e4defrag $file ;;
  esac
  check "and moves no block" same "$pieces" "$(blocks_of $file)"
  check "appending is allowed" bash -c "printf x >>$file"
  check "other files are not touched" at_once truncate -s 5M $beside
  truncate -s 4M $beside
  order read
  check "the holder reads its own file" is '.result == "0"'
  check "the filesystem is frozen" at_once fsfreeze -f /mnt/hf
  check "and thawed" at_once fsfreeze -u /mnt/hf
  check "writes go on" at_once dd if=/dev/zero of=/mnt/hf/other bs=4096 count=1 conv=fsync
  check "umount is busy" not umount /mnt/hf
  check "the module is in use" not rmmod holdfast_pin

  tell writer stop
  hear writer '"done": true'
  word=$heard
  ended writer || :
  lost=$(hf-lab-verify $file --round "$(number round "$word")" --length $length || :)
  check "no byte is lost of $(number bytes "$word") that were written remotely" test "$(number bytes_lost "$lost")" = 0
  check "without an error" test "$(number errors "$word")" = 0
  check "a remote reader has all of it" test "$(number read_bytes "$word") $(number read_wrong "$word")" = "$length 0"

  section "$1: what ends it"
  order dereg
  check "dereg" is '.result == "0"'
  check "nothing is leased" test "$(leased_files)" = 0
  check "truncate succeeds" truncate -s 8M $file
  stop holder
  make_file $file 4
  register
  rm $file
  stop holder KILL
  check "an unlinked file goes with its holder" soon 1 none bindings
  make_file $file 4
  register
  write_remotely 4
  kill -KILL "${pid_of[holder]}"
  began=${EPOCHREALTIME/./}
  check "its holder killed, the file can be cut within $slowness s" soon 1 truncate -s 0 $file
  echo "        after $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
  check "and nothing is left" soon 1 all_freed
  ended holder 2>/dev/null || :
  stop writer KILL
  check "no escape" test "$(holdfast status --json | jq '.gate.escapes')" = 0
  check "unmounted" soon 5 umount /mnt/hf
  check "clean" clean "$1"
}

only_the_daemon() {
  section "nobody but holdfastd, and nothing without a lease"
  check "it is root's alone" test "$(stat -c %a /dev/holdfast-pin)" = 600
  check "others can't open it" not setpriv --reuid nobody --clear-groups dd if=/dev/holdfast-pin count=0 status=none
  mount_pin xfs
  make_file $file 4
  check "root can't bind without a lease" fails 1 'ENOLCK' hf-lab-pin bind $file --lease 1
  start held holdfast hold $file
  hear held '^lease '
  check "nor under a lease of its bytes" fails 1 'ENOLCK' hf-lab-pin bind $file --lease "$(holdfast leases --json | jq '.leases[0].id // .files[0].leases[0].id')"
  stop held
  check "a user's limit counts" fails 1 'ENOMEM.*locked memory' bash -c "ulimit -l 64; exec setpriv --reuid nobody --clear-groups hf-lab-regmr --device rxe_a --map $file:0:$length"
  check "nothing is left of that" soon 1 none leased_files
  umount /mnt/hf
}

# One round: a holder with a writer, some operations, the holder's end, and the blocks that it had used by another file, which no late write may reach.
round() { # FILESYSTEM NUMBER
  local n word
  make_file $file 4
  register
  if ! [[ $heard == *pinned* ]]; then echo "$heard"; return 1; fi
  write_remotely 2
  for n in 1 2 3 4; do
    case $((RANDOM % 9)) in
      0) at_once truncate -s $((RANDOM * 128)) $file ;;
      1) at_once fallocate -p -o $((RANDOM * 64)) -l 65536 $file ;;
      2) at_once cp --reflink=always $file /mnt/hf/clone ;;
      3) at_once xfs_io -c "reflink $beside" $file && at_once xfs_io -c "reflink $file" $before ;;
      4) case $1 in xfs*) at_once xfs_fsr $file ;; ext4) at_once e4defrag $file ;; esac ;;
      5) at_once fsfreeze -f /mnt/hf && at_once fsfreeze -u /mnt/hf ;;
      6) at_once umount /mnt/hf ;;
      7) at_once fallocate -c -o 0 -l 4096 $file ;;
      8) at_once xfs_io -c 'pread -q 0 4m' $file ;;
    esac || return 1
  done
  if [ $((RANDOM % 2)) = 0 ]; then
    kill -KILL "${pid_of[holder]}"
  else
    tell writer stop
    hear writer '"done": true' || return 1
    word=$heard
    if [ "$(number errors "$word") $(number read_wrong "$word")" != "0 0" ]; then echo "$word"; return 1; fi
    hf-lab-verify $file --round "$(number round "$word")" --length $length || return 1
    tell holder quit
  fi
  soon 1 truncate -s 0 $file || return 1
  # Takes the blocks over, while the writer may still believe in them.
  cp --reflink=never "$program_dir/pattern" /mnt/hf/heir
  ended holder 2>/dev/null || :
  stop writer KILL
  cmp "$program_dir/pattern" /mnt/hf/heir || return 1
  rm -f /mnt/hf/heir /mnt/hf/clone
}

hammer() { # FILESYSTEM
  local n failed=0
  section "$1: $rounds rounds, seed $seed"
  mount_pin "$1"
  make_file $before 1
  make_file $beside 1
  dd if=/dev/urandom of="$program_dir/pattern" bs=1M count=8 status=none
  for ((n = 1; n <= rounds; n++)); do
    drain daemon
    [ $((n % 20)) != 0 ] || echo "        $n, $(stat -c %s "${log_of[daemon]}") bytes from holdfastd"
    round "$1" "$n" >"$program_dir/round" 2>&1 || { failed=$n; break; }
  done
  if [ $failed != 0 ]; then
    sed 's/^/      | /' "$program_dir/round"
    tail -n 5 "${log_of[daemon]}" | sed 's/^/      | holdfastd: /'
  fi
  rounds_done=$((rounds_done + n - 1))
  check "no round went wrong" test $failed = 0
  check "nothing is stuck" soon 1 nothing_stuck
  check "unmounted" soon 5 umount /mnt/hf
  check "clean" clean "$1"
}

section "without the module"
daemon_start
mount_pin xfs
make_file $file 4
register
check "FS-DAX is refused, and what would help is named" is '(.error == "-EOPNOTSUPP") and (.text | test("holdfast-pin"))'
ended holder || :
umount /mnt/hf

watch_for_waits
check "the module loads" insmod "$module"
check "its device is there" soon 5 test -c /dev/holdfast-pin
only_the_daemon
for kind; do story "$kind"; done
if [ "$rounds" -gt 0 ]; then for kind; do hammer "$kind"; done; fi

check "in all of this, nothing has found a page that it would have had to wait for" test "$(waited)" = 0

section "what it is without the gate"
mount_pin xfs
make_file $file 4
register
daemon_kill
holdfast gate detach --yes >/dev/null
check "a growing truncate waits" fails 137 '' timeout -s KILL 2 truncate -s 8M $file
check "which is seen" test "$(waited)" -gt 0
stop holder KILL
check "until its holder is gone" soon 5 truncate -s 8M $file
check "unmounted" soon 5 umount /mnt/hf

section "the module goes"
check_leaks
check "unloaded" soon 2 rmmod holdfast_pin
check "with its device" not test -e /dev/holdfast-pin
check "the kernel had nothing to say" kernel_is_silent
printf '\nseed %s: %s rounds of %s\n' "$seed" $rounds_done $((rounds * $#))
conclude
