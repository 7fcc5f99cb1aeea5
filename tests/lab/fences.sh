#!/usr/bin/env bash
# A fence that was raised holds: 1,000 remote writes are in flight, and no byte of the region changes after hf_fence_mr() has returned, whichever kind it is.
# Where the adapter's driver can't do one (rereg before 6.12), it says so and touches nothing.
# In the lab: any kernel, --fs none.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
rounds=${1:-3}

can_rereg() { case $(uname -r) in 6.1.*) return 1 ;; esac; }
# race KIND OPTION...: leaves what came of it in $result.
race() {
  local kind=$1 status=0
  shift
  result=$(timeout 120 hf-lab-fence $file --kind "$kind" "$@" 2>"$program_dir/said") || status=$?
  [ -n "$result" ] || cat "$program_dir/said"
  return $status
}
is() { jq -e "$1" <<<"$result" || { echo "$result"; cat "$program_dir/said"; return 1; }; }

mount_kind tmpfs
make_file $file 16
daemon_start

section "the control: without a fence, writes go on arriving"
race none || :
check "bytes change" is '.bytes_changed > 0 and .in_flight > 0'

for kind in rereg-domain rereg-access dereg queue-pairs; do
  case $kind in
    rereg-*)
      if ! can_rereg; then
        section "$kind: this kernel's rxe has none"
        race $kind || :
        check "refused with the reason" is '.error == "EOPNOTSUPP" and .fence == "unknown"'
        check "in words" grep -q "rereg" "$program_dir/said"
        check "and nothing was done to the region: writes go on arriving" is '.bytes_changed > 0'
        continue
      fi ;;
  esac
  section "$kind, with 1000 writes in flight"
  for ((round = 1; round <= rounds; round++)); do
    race $kind || :
    check "round $round: fenced, proved, and no byte changed after it returned" is '.error == "0" and .fence == .kind and .bytes_changed == 0'
    check "round $round: writes were in flight" is '.in_flight > 500'
    [ $kind = queue-pairs ] || check "round $round: the writers got a remote access error" is '.access_errors > 0'
    echo "        $(jq -r '"\(.in_flight) in flight; \(.proof)"' <<<"$result")"
  done
done

section "many connections, small writes"
race any --connections 16 --message 4096 || :
check "the first kind that the adapter offers" is '.error == "0" and .bytes_changed == 0'

section "registered by ODP"
case $(uname -r) in
  6.*) echo "  (this kernel's rxe has none)" ;;
  *)
    umount /mnt/hf
    mount_kind xfs
    make_file $file 16
    race any || :
    check "FS-DAX, plan odp" is '.error == "0" and .plan == "odp" and .bytes_changed == 0' ;;
esac
check "nothing is leased afterwards" test "$(leased_files)" = 0
conclude
