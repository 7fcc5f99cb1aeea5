#!/usr/bin/env bash
# The pure core on this machine: what many slots, extents and leases cost against one.
# Where: host
set -euo pipefail
for _ in 1 2 3 4 5; do
  hf-bench-core --benchmark_format=json --benchmark_min_time=0.05 2>/dev/null | jq -c '
    (.benchmarks | map({key: .name, value: .cpu_time}) | from_entries) as $times
    | $times | keys[] | select(test("/(1|decide/1)$") | not)
    | {case: ., unit: "ns", baseline: $times[sub("/[^/]+$"; "/1")], measured: $times[.]}'
done
