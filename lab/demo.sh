#!/usr/bin/env bash
# ./dev demo: boots one kernel with FS-DAX and RDMA, and shows there what Holdfast is for. The story itself is lab/demo/story.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
preset=release
case ${1:-} in
  '') ;;
  --preset) preset=${2:?--preset wants a value} ;;
  *) echo "Usage: ./dev demo [--preset release|dev]" >&2; exit 2 ;;
esac
colour=()
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then colour=(--colour); fi
echo "Booting Linux 7 with emulated persistent memory and two RDMA ends (about 20 seconds) ..."
exec "$here/run" --kernel 7 --fs xfs --preset "$preset" --timeout 240 --script "$here/demo/story.sh" -- "${colour[@]}"
