#!/usr/bin/env bash
# hf_reg_mr() in the cases that go wrong elsewhere: many regions on one file, one over several files, more ranges than extents, layouts that are not settled,
# fork, memory windows, an uverbs context that goes to another process; and "holdfast devices" next to it, which must promise what is then found.
# In the lab: any kernel, --fs xfs --hugepages 16.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

# register NAME OPTION...: leaves its first line in $heard.
register() {
  local name=$1
  shift
  start "$name" hf-lab-regmr --device rxe_a "$@"
  hear "$name" '"ready"|"error"|hf-lab-regmr:'
}
order() {
  tell "$1" "$2"
  hear "$1" '"order"'
}
is() { jq -e "$1" <<<"$heard" || { echo "$heard"; return 1; }; }
has_odp() { case $(uname -r) in 6.*) return 1 ;; esac; }

mkdir -p /mnt/tmp /mnt/huge
mount -t tmpfs -o size=256M t /mnt/tmp
mount -t hugetlbfs -o pagesize=2M h /mnt/huge
chmod 777 /mnt/hf /mnt/tmp /mnt/huge
daemon_start

section "what holdfast devices promises"
holdfast devices rxe_a --json >"$program_dir/devices"
plan_of() { jq -r --arg mount "$1" ".adapters[0].mounts[] | select(.mount == \$mount) | .$2.plan" "$program_dir/devices"; }
can() { jq -e --arg id "$1" '.adapters[0].can[$id].works' "$program_dir/devices"; }
check "plain operations work" can plain.rc.write
check "and datagrams" can plain.ud.receive
check "dereg is a proved fence" can fence.dereg
case $(uname -r) in
  6.1.*) check "there is no rereg here" not can fence.rereg-domain ;;
  *)
    check "rereg to another domain is a proved fence" can fence.rereg-domain
    check "rereg of access is, too" can fence.rereg-access ;;
esac
if has_odp; then check "ODP write works" can odp.rc.write; else check "no ODP" not can odp.register; fi
check "what is not observed is named" jq -e '[.not_observed[].id] | contains(["io_uring","vfio","af_xdp","hfi1","peer-memory"])' "$program_dir/devices"
check "nothing of the trials is left" test "$(leased_files)" = 0
check "in words, too" grep -q "rxe_a" <(holdfast devices rxe_a)
check "an adapter that is not there" fails 1 'no RDMA adapter nobody' holdfast devices nobody

section "the plan is the one that was promised"
for mount in /mnt/hf /mnt/tmp /mnt/huge; do
  make_file $mount/file 4
  register holder --map $mount/file:0:2097152
  plan=$(plan_of $mount writer)
  if [ "$plan" = refused ]; then
    check "$mount: refused" is '.error == "-EOPNOTSUPP"'
    check "$mount: with the reason and the mend" is '(.text | test("FS-DAX.*no ODP")) and (.text | test("Next: "))'
    ended holder || :
    check "$mount: and nothing is leased" test "$(leased_files)" = 0
    continue
  fi
  check "$mount: $plan" is ".plan == \"$plan\" and .leases == 1"
  check "$mount: the registration is protected" test "$(state_of hf-lab-regmr)" = protected
  check "$mount: truncate is refused" refused truncate -s 0 $mount/file
  order holder dereg
  check "$mount: dereg" is '.result == "0"'
  check "$mount: nothing is leased afterwards" test "$(leased_files)" = 0
  check "$mount: truncate succeeds" truncate -s 0 $mount/file
  tell holder quit
  ended holder
done
file=/mnt/tmp/file other=/mnt/tmp/other

section "ODP when asked for, and never when ruled out"
make_file $file 4
if has_odp; then
  register holder --map $file:0:1048576 --odp
  check "odp on tmpfs" is '.plan == "odp"'
  stop holder
  make_file /mnt/hf/file 4
  register holder --map /mnt/hf/file:0:1048576 --no-odp
  check "FS-DAX without it is refused" is '.error == "-EOPNOTSUPP" and (.text | test("ODP was ruled out"))'
  ended holder || :
else
  register holder --map $file:0:1048576 --odp
  check "an adapter without ODP: plain" is '.plan == "plain"'
  stop holder
fi

section "many regions on one file, one region over several files"
make_file $file 4
make_file $other 4
register holder --map $file:0:4096 --repeat 60 --stride 16384 --separate
check "60 regions" is '.regions == 60'
check "protected to the last" refused fallocate -p -o $((59 * 16384)) -l 4096 $file
order holder dereg
check "all ended" test "$(leased_files)" = 0
stop holder
register holder --map $file:0:65536 --map $other:65536:65536 --map $file:65536:65536
check "one region, two files, two leases" is '.regions == 1 and .leases == 2'
check "refused on the one" refused truncate -s 0 $file
check "refused on the other" refused fallocate -p -o 65536 -l 4096 $other
check "allowed before" fallocate -p -o 0 -l 4096 $other
stop holder
all_ended() { for _ in {1..30}; do if [ "$(leased_files)" = 0 ]; then return 0; fi; sleep 0.1; done; return 1; }
check "both ended with the process" all_ended

section "layouts that are not settled"
if has_odp; then
  rm -f /mnt/hf/file
  truncate -s 160M /mnt/hf/file
  register holder --map /mnt/hf/file:0:167772160
  check "a file of holes is refused" is '.error == "-EUCLEAN" and (.text | test("hole"))'
  ended holder || :
  register holder --map /mnt/hf/file:0:167772160 --settle
  check "settled first when asked, with progress" is '.plan == "odp" and .progress >= 3'
  check "no holes are left" test "$(($(stat -c %b /mnt/hf/file) * 512))" -ge 167772160
  stop holder
  dd if=/dev/zero of=/mnt/hf/file bs=1M count=4 conv=fsync status=none
  truncate -s 4M /mnt/hf/file
  # Alternate blocks of two files: one extent a block.
  rm -f /mnt/hf/[ab]
  for i in {0..199}; do
    dd if=/dev/zero of=/mnt/hf/a bs=4096 seek="$i" count=1 conv=notrunc,fsync status=none
    dd if=/dev/zero of=/mnt/hf/b bs=4096 seek="$i" count=1 conv=notrunc,fsync status=none
  done
  extents=$(filefrag /mnt/hf/a | grep -oE '[0-9]+ extents?' | cut -d' ' -f1)
  register holder --map /mnt/hf/a:0:$((200 * 4096))
  check "a region over $extents extents is one lease" is '.leases == 1'
  check "all of it is protected" refused fallocate -p -o $((199 * 4096)) -l 4096 /mnt/hf/a
  stop holder
else
  echo "  (nothing on FS-DAX can be registered on this kernel)"
fi
register holder --map $file:4190208:8192
check "beyond the end of the file" is '.error == "-ERANGE" and (.text | test("ends at"))'
ended holder || :

section "fork"
for option in --fork-init ""; do
  register holder --map $file:0:1048576 ${option:+"$option"}
  order holder fork
  check "a child can do nothing with its parent's regions (${option:-without ibv_fork_init})" is '.reg == "-ECHILD" and .dereg == "-ECHILD" and .fence == "-ECHILD"'
  check "and has not harmed them" refused truncate -s 0 $file
  order holder dereg
  check "which the parent still owns" is '.result == "0"'
  stop holder
done

section "memory windows"
register holder --map $file:0:1048576 --windows
order holder window
check "bound" is '.result == "0"'
order holder "fence rereg-access"
check "a rereg would not reach it: refused" is '(.result == "-EBUSY") and (.text | test("window"))'
order holder dereg
check "dereg is refused while it is bound" is '.result != "0" and (.text | test("window"))'
check "and the lease stays" refused truncate -s 0 $file
order holder unwindow
order holder dereg
check "dereg when it is gone" is '.result == "0"'
stop holder

section "an uverbs context that goes to another process"
register holder --map $file:0:1048576
start heir hf-lab-register --receive /tmp/heir.sock
hear heir '"ready": true'
order holder "pass /tmp/heir.sock"
hear heir '"received": true'
stop holder KILL
check "the region lives on, and so does its protection" refused truncate -s 0 $file
tell heir quit
ended heir
check "until the other process ends" bash -c "for i in {1..100}; do truncate -s 4M $file && exit; sleep 0.1; done; exit 1"
conclude
