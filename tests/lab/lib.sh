# shellcheck shell=bash
# What the lab's tests share: cases with a name, the daemon, filesystems, RDMA registrations. Sourced in the guest.

set -euo pipefail
here=${here:?the folder of the tests}
# shellcheck source=lab/programs/shell.sh
. "$here/../../lab/programs/shell.sh"

checks=0 failures=0
modprobe loop # a break source of its own
trap 'echo "FAILED: line $LINENO: $BASH_COMMAND"; all_said; exit 1' ERR

section() { printf '\n== %s (%s)\n' "$*" "$(uname -r)"; }

# check WHAT COMMAND...: the command must succeed; what it says is shown where it does not.
check() {
  local what=$1 said status=0
  shift
  checks=$((checks + 1))
  said=$("$@" 2>&1) || status=$?
  if [ $status = 0 ]; then
    printf '  ok    %s\n' "$what"
  else
    failures=$((failures + 1))
    printf '  WRONG %s: "%s" ended with %s\n' "$what" "$*" "$status"
    [ -z "$said" ] || printf '%s\n' "$said" | tail -n 40 | sed 's/^/      | /'
    all_said ended
    dmesg --level=err,warn 2>/dev/null | tail -n 5 | sed 's/^/      kernel: /' || :
  fi
}

# refused COMMAND...: it must fail with ETXTBSY's words.
refused() {
  local said
  if said=$(LC_ALL=C "$@" 2>&1); then echo "it succeeded"; return 1; fi
  [[ $said == *"Text file busy"* ]] || { printf '%s\n' "$said"; return 1; }
}

# fails STATUS PATTERN COMMAND...: it must end with that status and a message like that.
fails() {
  local wanted=$1 pattern=$2 said status=0
  shift 2
  said=$("$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || { printf 'status %s, not %s: %s\n' "$status" "$wanted" "$said"; return 1; }
  [[ $said =~ $pattern ]] || { printf 'nothing like "%s" in: %s\n' "$pattern" "$said"; return 1; }
}

not() { if "$@"; then return 1; fi; }
same() { [ "$1" = "$2" ] || { diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"); return 1; }; }

# conclude: to be called at the end.
conclude() {
  printf '\n%s: %s checks, %s wrong\n' "$(basename "$0")" "$checks" "$failures"
  [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
}

# --- the daemon

daemon_start() {
  start daemon holdfastd
  hear daemon 'serving'
}
daemon_kill() {
  stop daemon KILL
}

# The table without what moves with the clock.
leases() { holdfast leases --json | jq -S 'walk(if type == "object" then del(.age_s, .since) else . end)'; }
leased_files() { holdfast leases --json | jq '.files | length'; }
# registration COMM: the one of that program.
registration() { holdfast registrations --json | jq -e --arg comm "$1" '.registrations[] | select(.process.comm == $comm)'; }
state_of() { registration "$1" | jq -r .state; }

# watch_events: whatever happens from here on is heard from "watcher".
watch_events() {
  start watcher holdfast watch --json
  hear watcher 'watching'
}

# --- filesystems: everything at /mnt/hf, one after the other

mount_kind() { # xfs|ext4|tmpfs|hugetlbfs
  case $1 in
    xfs)
      mkfs.xfs -q -f /dev/pmem0
      # Range exchange is made for by newer mkfs; the bit is all that there is to it. Kernels before 6.10 refuse it.
      case $(uname -r) in 6.1.*) ;; *) xfs_db -x -c 'sb 0' -c 'write -d features_incompat 0x4b' /dev/pmem0 >/dev/null ;; esac
      mount -o dax=always /dev/pmem0 /mnt/hf ;;
    ext4)
      mkfs.ext4 -q -F -b 4096 /dev/pmem0
      mount -o dax=always /dev/pmem0 /mnt/hf ;;
    tmpfs) mount -t tmpfs -o size=600M hf /mnt/hf ;;
    hugetlbfs) mount -t hugetlbfs -o pagesize=2M hf /mnt/hf ;;
  esac
  chmod 777 /mnt/hf
}

# make_file FILE MIB: blocks that are written, and that everyone may write.
make_file() {
  rm -f "$1"
  if [ "$(stat -f -c %T "$(dirname "$1")")" = hugetlbfs ]; then
    truncate -s "$2M" "$1"
  else
    dd if=/dev/zero of="$1" bs=1M count="$2" conv=fsync status=none
  fi
  chmod 666 "$1"
}

# --- breaks

# break_all EXPECT FILE OPTION...: every operation; leaves in $program_dir/attempts what came of each.
break_all() {
  local expect=$1 file=$2
  shift 2
  hf-lab-break all "$file" --expect "$expect" --user nobody --scratch-dir "$(dirname "$file")" --json "$@" >"$program_dir/attempts" || {
    jq -c 'select(.expected == false)' "$program_dir/attempts"
    return 1
  }
}
