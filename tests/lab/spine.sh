#!/usr/bin/env bash
# An unmodified perftest holds a lease from its registration to its exit: every break source is refused while it runs and succeeds after it, the controls
# succeed throughout, and the daemon may be killed in mid-run. Over XFS-DAX, ext4-DAX, tmpfs and hugetlbfs in one boot.
# Usage in the lab (--fs none --hugepages 32): spine.sh [FILESYSTEM...]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

kernel=$(uname -r | grep -oE '^[0-9]+\.[0-9]+')
file=/mnt/hf/file
message=1048576
leased=$((2 * message)) # perftest's buffer is twice the message

can_register() { # FILESYSTEM: FS-DAX wants ODP, which rxe has in the newest kernel only
  case $1 in tmpfs|hugetlbfs) ;; *) [ "${kernel%%.*}" -ge 7 ] ;; esac
}

# A lost packet is sent again after a second (-u 18): the default of 67 ms ends the connection on a machine that is slow for a moment.
begin_perftest() { # FILESYSTEM
  local odp=() try
  case $1 in xfs|ext4) odp=(--odp) ;; esac
  start server ip netns exec hfa ib_write_bw -d rxe_a --mmap="$file" "${odp[@]}" -s $message -u 18 -D 2 --run_infinitely
  # The server says nothing before it listens that could be waited for: the client tries until it is there.
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    start client nice -n 19 ip netns exec hfb ib_write_bw -d rxe_b -s $message -u 18 -D 2 --run_infinitely 192.0.2.1
    if hear client 'remote address|Couldn.t connect' 2>/dev/null && [[ $heard != *Couldn* ]]; then break; fi
    stop client
    [ "$try" != 20 ]
  done
  # Told of twice: while it pins, and with what came of it.
  hear watcher '"event":"registration".*"state":"protected".*"files":\[\{'
}

begin() { # FILESYSTEM
  if can_register "$1"; then
    begin_perftest "$1"
    check "registered and protected" test "$(state_of ib_write_bw)" = protected
    check "the registration is of the file" test "$(registration ib_write_bw | jq -r '.files[0].path')" = "$file"
  else
    echo "  (this kernel's rxe has no ODP, and FS-DAX can't be pinned: a lease by \"holdfast hold\" stands in)"
    start server holdfast hold "$file" --range "0:$leased"
    hear server '^lease '
    hear watcher '"event":"lease"'
  fi
}

end() { # FILESYSTEM
  if can_register "$1"; then
    stop client
    stop server
    hear watcher '"event":"registration_ended"'
  else
    stop server
    hear watcher '"event":"lease_ended"'
  fi
}

one_filesystem() { # FILESYSTEM
  local before
  section "$1"
  mount_kind "$1"
  make_file "$file" 8
  watch_events
  begin "$1"
  check "one file is leased" test "$(leased_files)" = 1
  check "every break source is refused, the controls go through" break_all refused "$file" --length $leased
  before=$(leases)
  daemon_kill
  check "refused with the daemon killed" break_all refused "$file" --length $leased --only break
  daemon_start
  check "the new daemon took over" test "${heard#*took over}" != "$heard"
  check "the table is exact again" same "$before" "$(leases)"
  check "refused with the new daemon" refused truncate -s 0 "$file"
  stop watcher
  watch_events
  end "$1"
  check "nothing is leased after its exit" test "$(leased_files)" = 0
  check "every break source succeeds after it" break_all allowed "$file" --length $leased
  check "truncate succeeds on the file itself" truncate -s 0 "$file"
  stop watcher
  umount /mnt/hf
}

daemon_start
for kind in "${@:-xfs}"; do one_filesystem "$kind"; done
conclude
