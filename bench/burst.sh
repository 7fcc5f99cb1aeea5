#!/usr/bin/env bash
# Refusals back to back, a million: what each costs the breaker, and that every one is named or counted. After --: how many.
# Lab: --fs tmpfs --mount size=256M --no-rdma --icount
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

wanted=${2:-1000000}
refusals=$((wanted / 64 * 64)) # hf-bench-io makes 64 in a batch, and one batch to warm up
file=/mnt/hf/file journal=/var/lib/holdfast/journal.db
dd if=/dev/zero of=$file bs=1M count=1 status=none
holdfast_on
start hold holdfast hold $file
hear hold '^lease '
shrink() { hf-bench-io $file shrink --refused "$@" | awk '{print $2}'; }
alone=$(shrink --batches 20 --pause 200)
gate() { holdfast status --json | jq ".gate.$1"; }
before=$(gate denials)
burst=$(shrink --batches $((refusals / 64 - 1)))
pair "a refusal among $refusals, against one by itself" ns "$alone" "$burst"

# Everybody has been told of all that came before when the journal has as many as the gate counts.
rows() { sqlite3 -readonly $journal "SELECT coalesce(sum(count), 0) FROM history WHERE $1"; }
told() { rows "kind = 'denial' OR (kind = 'lost' AND operation IN ('denials', 'denial'))"; }
all=$(gate denials)
[ $((all - before)) = $refusals ]
until [ "$(told)" = "$all" ]; do
  drain daemon
  holdfast history --last 1 >/dev/null
done
pair "refusals named or counted in the journal, against the gate's own count" refusals "$all" "$(told)" 1
pair "refusals named, against all" refusals "$all" "$(rows "kind = 'denial'")"
pair "the journal's bytes for each entry, against 1,000" bytes 1000 "$(($(stat -c %s $journal) / $(rows "kind = 'denial'")))"
