#!/usr/bin/env bash
# The demo's story, told in the lab, on 7 with ODP and on 6.1 and 6.12 with the kernel module holdfast-pin: XFS on persistent memory with DAX at /mnt/hf, a tmpfs beside it, an RDMA end in each of two network namespaces.
# Ends with a status other than 0 when anything is not as the story says.
set -euo pipefail

bold='' dim='' red='' green='' plain='' colour=()
if [ "${1:-}" = --colour ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m' colour=(--colour)
fi
programs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../programs" && pwd -P)
# shellcheck source=lab/programs/shell.sh
. "$programs/shell.sh"

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
good() { printf '  %s%s%s\n' "$green" "$*" "$plain"; }
bad() { printf '  %s%s%s\n' "$red" "$*" "$plain"; exit 1; }
shown() { printf '  %s$ %s%s\n' "$dim" "$*" "$plain"; "$@"; }
mib() { awk -v b="$1" 'BEGIN{printf "%.1f MiB", b / 1048576}'; }

mib_each=4
tmpfs=/mnt/tmpfs
pool=/mnt/hf/pool shared=$tmpfs/segment
ports=(7471 7472)

# register NAME FILE PORT OPTION...: an ordinary verbs program registers the file and lets a remote end write into it, without pause.
register() {
  local name=$1 file=$2 port=$3
  shift 3
  start "target-$name" ip netns exec hfa hf-lab-target --device rxe_a --listen "$port" --file "$file" "$@"
  hear "target-$name" '"ready": true'
  start "writer-$name" ip netns exec hfb hf-lab-writer --device rxe_b --connect 192.0.2.1 --port "$port" --rate-mib 8
  hear "writer-$name" '"ready": true'
}

# How a file on FS-DAX is registered by the rxe of this kernel.
case ${LAB_KERNEL:?} in 7) odp=1 ;; *) odp=0 ;; esac
root=$(cd "$programs/../.." && pwd -P)

# register_pinned NAME FILE PORT: a program that calls hf_reg_mr() in the place of ibv_reg_mr().
register_pinned() {
  start "target-$1" hf-lab-regmr --device rxe_a --listen "$3" --map "$2:0:$((mib_each << 20))"
  hear "target-$1" '"ready"|"error"'
  [[ $heard == *'"plan":"pinned"'* ]] || bad "not registered: $heard"
  start "writer-$1" ip netns exec hfb hf-lab-writer --device rxe_b --connect 192.0.2.1 --port "$3" --rate-mib 8
  hear "writer-$1" '"ready": true'
}

# finish NAME: one last round of remote writes; leaves the writer's word on it in $heard.
finish() {
  tell "writer-$1" stop
  hear "writer-$1" '"done": true'
  ended "writer-$1" || :
}

# lost FILE WRITER'S-WORD: how many bytes of the last round are not in the file; by read(2), and again by a mapping.
lost() {
  local by_read by_mapping
  by_read=$(hf-lab-verify "$1" --round "$(number round "$2")" --length $((mib_each << 20)) || :)
  by_mapping=$(hf-lab-verify --mmap "$1" --round "$(number round "$2")" --length $((mib_each << 20)) || :)
  [ "$by_read" = "$by_mapping" ] || echo "read(2) and mmap(2) differ: $by_read $by_mapping" >&2
  number bytes_lost "$by_read"
}

make_file() { dd if=/dev/zero of="$1" bs=1M count=$mib_each conv=fsync status=none; chmod 666 "$1"; }

modprobe loop # a break source of its own
mkdir -p "$tmpfs"
mount -t tmpfs -o size=256M,mode=777 tmpfs "$tmpfs"
chmod 777 /mnt/hf

title "1  Without Holdfast: a registered file, and a stranger"
make_file "$shared"
register before "$shared" "${ports[0]}"
say "A program has registered $shared (tmpfs, $mib_each MiB) with its RDMA adapter, and a"
say "remote machine writes into it. Somebody who knows nothing of that cuts it and regrows it:"
shown setpriv --reuid nobody --clear-groups truncate -s 0 "$shared"
shown setpriv --reuid nobody --clear-groups truncate -s ${mib_each}M "$shared"
finish before
word=$heard
errors=$(number errors "$word")
gone=$(lost "$shared" "$word")
say "The remote end went on writing: $(number writes "$word") writes, $(mib "$(number bytes "$word")"), $errors errors."
say "Of the $(mib $((mib_each << 20))) that it wrote last, the file has lost:"
if [ "$errors" -ne 0 ] || [ "$gone" -eq 0 ]; then bad "nothing, or not in silence: this is not what stock Linux does ($word, $gone bytes)"; fi
printf '\n      %s%s bytes lost, and nobody was told.%s\n' "$red$bold" "$gone" "$plain"
stop target-before

title "2  With Holdfast: the same programs, unchanged"
start daemon holdfastd
hear daemon 'serving' || bad "holdfastd did not start"
say "holdfastd: ${heard#holdfastd: }"
make_file "$pool"
make_file "$shared"
if [ $odp = 1 ]; then
  register pool "$pool" "${ports[0]}" --odp
  say "Two ordinary verbs programs register a file on XFS-DAX (ODP) and one on tmpfs (pinned)."
else
  (cd "$root" && shown insmod "build/kmod/$LAB_KERNEL/holdfast_pin.ko")
  register_pinned pool "$pool" "${ports[0]}"
  say "This adapter has no ODP, and this kernel pins no file on FS-DAX for long. With the module"
  say "holdfast-pin, a program that calls hf_reg_mr() registers one on XFS-DAX all the same; an"
  say "ordinary verbs program registers another on tmpfs."
fi
register shared "$shared" "${ports[1]}"
say "Remote writes run all the time."
echo
shown holdfast registrations
protected=$(holdfast registrations --json | jq '[.registrations[] | select(.state == "protected")] | length')
[ "$protected" = 2 ] || bad "$protected of 2 registrations are protected"

# Every break source that the filesystem has, each by a process of its own, as nobody where that needs no privilege.
attack() { # FILE REPORT
  local status=0 only=()
  # Under holdfast-pin all of the file is held: what is harmless elsewhere would wait for the pins there.
  if [ $odp = 0 ] && [ "$1" = "$pool" ]; then only=(--only break); fi
  start watcher holdfast watch --json --denials
  hear watcher 'watching'
  hf-lab-break all "$1" --expect refused "${only[@]}" --user nobody --length $((mib_each << 20)) --scratch-dir "$(dirname "$1")" --json |
    hf-lab-match --events "/dev/fd/${ear_of[watcher]}" --report "$2" "${colour[@]}" || status=$?
  stop watcher
  return "$status"
}

refused=0 nameless=0 controls=0 failed=0
for file in "$pool" "$shared"; do
  printf '\n  %sEvery way to move %s (%s), tried by strangers:%s\n' "$bold" "$file" "$(stat -f -c %T "$file")" "$plain"
  printf '  %s%-24s %-27s %-7s %s%s\n' "$dim" OPERATION "ISSUED BY" RESULT "BREAKER, AS HOLDFAST REPORTS IT" "$plain"
  attack "$file" "$program_dir/report" || failed=1
  report=$(<"$program_dir/report")
  refused=$((refused + $(number refused "$report")))
  nameless=$((nameless + $(number without_a_name "$report")))
  controls=$((controls + $(number controls_allowed "$report")))
  say "${dim}and $(number controls_allowed "$report") harmless operations (write, grow, rename, punch beside it, ...): all went through$plain"
done
[ $failed = 0 ] || bad "not every attempt came out as it should"

bytes_lost=0 written=0 errors=0
for name in pool shared; do
  finish "$name"
  written=$((written + $(number bytes "$heard")))
  errors=$((errors + $(number errors "$heard")))
  bytes_lost=$((bytes_lost + $(lost "${!name}" "$heard")))
done
escapes=$(holdfast status --json | jq -r '.gate.escapes')
echo
say "$refused breaks refused, $nameless refusals without a name, $controls harmless operations allowed."
say "$(mib $written) written remotely in the meantime, $errors errors."
printf '\n      %s%s bytes lost%s.%s\n' "$green$bold" "$bytes_lost" "${escapes:+, $escapes escapes}" "$plain"
[ "$bytes_lost $errors $nameless ${escapes:-0}" = "0 0 0 0" ] || bad "that is not nothing"

title "3  The programs exit, and the same truncate succeeds"
stop target-pool
stop target-shared
for file in "$pool" "$shared"; do shown setpriv --reuid nobody --clear-groups truncate -s 0 "$file" || bad "still refused"; done
left=$(holdfast leases --json | jq '.files | length')
[ "$left" = 0 ] || bad "$left files are leased although nobody has them registered"
good "The lease ended with the registration: the files are the filesystem's again."
