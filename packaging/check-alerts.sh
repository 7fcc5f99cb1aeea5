#!/bin/sh
# The alert rules mean what they say, and rules and dashboard name only what holdfastd counts.
set -eu
cd "$(dirname "$0")"
command -v promtool >/dev/null || { echo "skipped: no promtool here"; exit 77; }
cd prometheus
promtool check rules holdfast.rules.yml
promtool test rules holdfast.test.yml
cd ..
known=$(sed -n 's/.*out\.\(counter\|gauge\|histogram\)("\([a-z_]*\)".*/\1 \2/p' ../src/daemon/metrics_sources.cpp |
  while read -r kind name; do
    case $kind in
      counter) echo "${name}_total" ;;
      gauge) echo "$name" ;;
      histogram) printf '%s\n' "$name" "${name}_bucket" "${name}_sum" "${name}_count" ;;
    esac
  done)
status=0
names=$(mktemp)
trap 'rm -f "$names"' EXIT
grep -oh 'holdfast_[a-z_]*' prometheus/holdfast.rules.yml grafana/holdfast.json ../docs/metrics.md | sort -u >"$names"
while read -r name; do
  # docs say {a,b}; what ends in _ is the beginning of such a name.
  case $name in *_) continue ;; esac
  echo "$known" | grep -qx "$name" || { echo "holdfastd has no $name"; status=1; }
done <"$names"
for name in $known; do
  case $name in *_sum|*_count|*_bucket) continue ;; esac
  grep -q "$name" ../docs/metrics.md || { echo "docs/metrics.md does not say what $name is"; status=1; }
done
exit $status
