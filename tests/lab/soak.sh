#!/usr/bin/env bash
# Registered files under everything at once: random operations of our own with a seed, stress-ng's filesystem stressors beside them, every break source in turn, while
# remote RDMA writes run. At the end: no byte lost, no escape, nothing refused that touches no lease.
# Usage in the lab (--fs none --hugepages 64): soak.sh SECONDS FILESYSTEM...   HOLDFAST_SOAK_SEED picks the operations
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

seconds=$1
shift
seed=${HOLDFAST_SOAK_SEED:-$RANDOM$RANDOM}
file=/mnt/hf/file
port=7471

# Those that work on files and directories, in a folder of their own. They know nothing of Holdfast and must not notice it.
stressors=(access chattr chmod copy-file dentry dup fallocate fcntl fiemap file-ioctl filename fpunch fsize fstat getdent handle hdd io iomix link locka lockf
  lockofd open rename symlink sync-file touch utime xattr)

stress() { # SECONDS: the stressors in turn, one processor, and the sum of their failures
  local each args=()
  case $1 in hugetlbfs) return 0 ;; esac
  mkdir -p /mnt/hf/stress
  for each in "${stressors[@]}"; do args+=("--$each" 1); done
  stress-ng --temp-path /mnt/hf/stress --hdd-bytes 4M --copy-file-bytes 128M --fallocate-bytes 8M --iomix-bytes 4M --sync-file-bytes 4M --fiemap-bytes 4M \
    --sequential 1 --timeout $(( seconds / ${#stressors[@]} + 1 ))s --oomable --quiet "${args[@]}"
}

plan() { # FILESYSTEM: how rxe of this kernel can register the file, or "hold"
  case $1 in tmpfs|hugetlbfs) echo plain ;; *) case $(uname -r) in 6.*) echo hold ;; *) echo odp ;; esac ;; esac
}

one() { # FILESYSTEM
  local plan word lost counts before options=()
  before=$(holdfast status --json | jq '.gate | .escapes + .escapes_lost + .tripwire_missed + .tripwire_blind')
  plan=$(plan "$1")
  section "$1, $plan, $seconds s, seed $seed"
  mount_kind "$1"
  make_file "$file" 8
  case $plan in
    hold)
      start target holdfast hold "$file" --range 2M:4M
      hear target '^lease ' ;;
    *)
      [ "$plan" = plain ] || options=(--odp)
      start target ip netns exec hfa hf-lab-target --device rxe_a --listen $port --file "$file" --offset 2097152 --size 4194304 "${options[@]}"
      hear target '"ready": true'
      start writer ip netns exec hfb hf-lab-writer --device rxe_b --connect 192.0.2.1 --port $port --rate-mib 4
      hear writer '"ready": true' ;;
  esac
  check "the range is leased" test "$(leased_files)" = 1
  stress "$1" >"$program_dir/stress" 2>&1 &
  local stressing=$! stressed=0
  check "random operations are refused on the lease and nowhere else" \
    bash -c "hf-lab-fsx $file --offset 2097152 --length 4194304 --seed $seed --seconds $seconds >$program_dir/fsx || { tail -n 20 $program_dir/fsx; exit 1; }"
  tail -n 1 "$program_dir/fsx" | sed 's/^/        /'
  check "what was refused beside the lease, the gate owns to" \
    test "$(tail -n 1 "$program_dir/fsx" | jq .needless)" -le "$(holdfast status --json | jq .gate.hints_missed)"
  wait $stressing || stressed=$?
  # 3: a stressor got no resources, as xattr on the tmpfs of 6.1, which has no user attributes. Said below.
  check "stress-ng found nothing wrong" test $stressed = 0 -o $stressed = 3
  [ $stressed = 0 ] || sed 's/^/      | /' "$program_dir/stress"
  if [ "$plan" != hold ]; then
    tell writer stop
    hear writer '"done": true'
    word=$heard
    ended writer || :
    lost=$(hf-lab-verify "$file" --mmap --round "$(number round "$word")" --offset 2097152 --length 4194304 || :)
    check "no byte is lost of $(number bytes "$word") that were written remotely" test "$(number bytes_lost "$lost")" = 0
  fi
  stop target
  counts=$(holdfast status --json | jq -c '.gate | {escapes, escapes_lost, tripwire_missed, tripwire_blind}')
  check "no escape, and none that the tripwire could not see" test "$(jq add <<<"$counts")" = "$before"
  [ "$(jq add <<<"$counts")" = "$before" ] || { echo "      | $counts"; holdfast escapes | sed 's/^/      | /'; }
  check "no refusal without a name" test "$(holdfast status --json | jq '.gate.denials_lost')" = 0
  rm -rf /mnt/hf/stress
  umount /mnt/hf
}

daemon_start
for kind in "$@"; do one "$kind"; done
conclude
