#!/bin/sh
# The units are well formed, and the service is no more exposed than it was. check-service.sh UNIT
set -eu
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze here"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The program need not be installed for its unit to be looked at.
sed 's,^ExecStart=.*,ExecStart=/bin/true,' "$1" >"$folder/holdfastd.service"
cp "$(dirname "$0")/holdfastd.socket" "$folder"
said=$(SYSTEMD_UNIT_PATH="$folder:" systemd-analyze verify --man=no "$folder/holdfastd.service" "$folder/holdfastd.socket" 2>&1 | grep holdfast || :)
[ -z "$said" ] || { echo "$said"; exit 1; }
score=$(systemd-analyze security --offline=true --no-pager "$folder/holdfastd.service" | sed -n 's/.*exposure level for holdfastd.service: \([0-9.]*\).*/\1/p')
echo "systemd-analyze security: $score"
[ -n "$score" ] && awk "BEGIN {exit !($score <= 5.5)}"
