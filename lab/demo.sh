#!/usr/bin/env bash
# ./dev demo: boots one kernel with FS-DAX and RDMA, and shows there what Holdfast is for. The story itself is lab/demo/story.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
preset=release kernel=7
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=${2:?--preset wants a value}; shift 2 ;;
    --kernel) kernel=${2:?--kernel wants a value}; shift 2 ;;
    *) echo "Usage: ./dev demo [--kernel 7|6.12|6.1] [--preset release|dev]" >&2; exit 2 ;;
  esac
done
[ "$kernel" = 7 ] || "$here/build-module" "$kernel"
colour=()
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then colour=(--colour); fi
echo "Booting Linux $kernel with emulated persistent memory and two RDMA ends (about 20 seconds) ..."
exec "$here/run" --kernel "$kernel" --fs xfs --preset "$preset" --timeout 240 --script "$here/demo/story.sh" -- "${colour[@]}"
