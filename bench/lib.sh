# shellcheck shell=bash
# What the benchmarks share. Sourced in the guest; standard output is for the measurements only.
set -euo pipefail
exec 3>&1 1>&2
here=${here:?the folder of the benchmarks}
# shellcheck source=lab/programs/shell.sh
. "$here/../lab/programs/shell.sh"

# In seconds of this machine, which may have much else to do.
hear_bound_s=900

# pair CASE UNIT BASELINE MEASURED [TARGET]
pair() { printf '{"case": "%s", "unit": "%s", "baseline": %s, "measured": %s, "target": %s}\n' "$1" "$2" "$3" "$4" "${5:-null}" >&3; }
# series NAME X Y: a point of a picture, beside the measurements.
series() { printf '{"series": "%s", "x": %s, "y": %s}\n' "$1" "$2" "$3" >&3; }

holdfast_on() {
  start daemon holdfastd
  hear daemon 'serving'
}
holdfast_off() {
  stop daemon
  holdfast gate detach --yes >/dev/null
}
