#!/usr/bin/env bash
# A lease by libholdfast, got and given back, against the kernel's own claims and a lease of etcd; the way of a refusal to the holder and into the journal.
# Lab: --fs tmpfs --mount size=256M --cpus 1 --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
dd if=/dev/zero of=$file bs=1M count=1 status=none
holdfast_on
rounds=${1:-5}
each_of() { hf-bench-lease $file --kind "$1" --clients "$2" --count "$3" | awk '{print $5}'; } # KIND CLIENTS COUNT
p99_of() { hf-bench-lease $file "$@" | awk '{print $3}'; }
# Microseconds of a processor that the thread which serves all has used up. Its journal is another's.
loop_us() { awk '{print $1 / 1e3}' "/proc/${pid_of[daemon]}/task/${pid_of[daemon]}/schedstat"; }
each() { awk -v n="$1" -v before="$2" -v after="$3" 'BEGIN {printf "%.2f", (after - before) / n}'; }

# After the start holdfastd still reads the kernel's functions: that is not what is measured.
hf-bench-lease $file --kind grant --count 300 >&2
# Figures of their own, against the targets: 100,000 a second are 10 us each. Nothing else runs.
for ((round = 1; round <= rounds; round++)); do
  pair "a lease of an idle holdfastd, p99, against 100 us" us 100 "$(p99_of --kind grant --count 300)" 1
  pair "refusal to holder, p99, against 1 ms" us 1000 "$(p99_of --kind callback --count 200)" 1
  pair "a lease and its end, against two round trips through a server that does nothing" us "$(each_of round-trips 1 300)" "$(each_of holdfast 1 300)"
  read -r _ median p99 _ < <(hf-bench-lease $file --count 300)
  pair "a lease and its end one after the other, p99, against its median" us "$median" "$p99"
  before=$(loop_us)
  hf-bench-lease $file --count 300 >&2
  pair "holdfastd's processor time for a lease and its end, but for the journal's, against 100,000 a second" us 10 "$(each 301 "$before" "$(loop_us)")"
  # Entries are gathered for 50 ms before they are written together.
  start hold holdfast hold $file
  hear hold '^lease '
  hf-bench-journal $file --count 100 >"$program_dir/journal"
  stop hold
  pair "refusal to journal, median, against the 50 ms that it gathers for" us 50000 "$(awk '$1 == 0.5 {print $2}' "$program_dir/journal")"
  pair "refusal to journal, p99, against its median" us "$(awk '$1 == 0.5 {print $2}' "$program_dir/journal")" "$(awk '$1 == 0.99 {print $2}' "$program_dir/journal")"
done
hf-bench-lease $file --kind callback --count 1000 --quantiles | while read -r part us; do series callback "$part" "$us"; done
while read -r part us; do series journal "$part" "$us"; done <"$program_dir/journal"

kinds=(setlease flock ofd-lock)
if command -v etcd >/dev/null; then
  # On tmpfs: an fsync() costs it nothing, as it costs the others nothing.
  start etcd etcd --data-dir /mnt/hf/etcd --log-level warn
  until curl -sf http://127.0.0.1:2379/health >/dev/null; do
    drain etcd
    kill -0 "${pid_of[etcd]}" || { cat "${log_of[etcd]}"; exit 1; }
  done
  kinds+=(etcd)
fi
for ((round = 1; round <= rounds; round++)); do
  for clients in "1 300" "64 10"; do
    read -r clients count <<<"$clients"
    words="a lease"
    [ "$clients" = 1 ] || words="a lease of $clients clients at once"
    declare -A took=()
    # Which come first alternates.
    for kind in $([ $((round % 2)) = 1 ] && echo "holdfast ${kinds[*]}" || echo "${kinds[*]} holdfast"); do took[$kind]=$(each_of "$kind" "$clients" "$count"); done
    for kind in "${kinds[@]}"; do pair "$words, against $kind" us "${took[$kind]}" "${took[holdfast]}"; done
  done
  pair "a lease and its end, 64 clients at once, against 100,000 a second" us 10 "${took[holdfast]}" 1
done
