#!/usr/bin/env bash
# A daemon that starts late: regions that exist already are found, told with "their past is unknown", and leased from then on where file and range can be found;
# where they can't, the files that they may lie on are named. Their end is noticed.
# In the lab: any kernel, --fs tmpfs.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

register() {
  local name=$1
  shift
  start "$name" ip netns exec hfa hf-lab-register --device rxe_a "$@"
  hear "$name" '"ready": true'
}
# within_bound COMMAND...: it comes true.
within_bound() { for _ in {1..30}; do if "$@"; then return 0; fi; sleep 0.1; done; return 1; }
count_is() { [ "$(holdfast registrations --json | jq '.registrations | length')" = "$1" ]; }
of_file() { holdfast registrations --json | jq -e --arg path "$1" '[.registrations[] | select(any(.files[]; .path == $path))][0]'; }
file_is() { of_file "$1" | jq -e "$2" || { holdfast registrations --json; return 1; }; }
allowed() { truncate -s 4M "$1" && truncate -s 0 "$1"; }

make_file /mnt/hf/whole 4
make_file /mnt/hf/part 4
make_file /mnt/hf/after 4
register whole --map /mnt/hf/whole:0:4194304
# One registration over two mappings: nobody can tell where in them it lies.
register several --map /mnt/hf/part:0:65536 --map /mnt/hf/part:1048576:65536

section "the daemon comes after the registrations"
daemon_start
check "the operator is told" grep -q "a registration of process.*range-unknown" "${log_of[daemon]}"
check "both are listed" within_bound count_is 2
check "the one that fills its mapping is leased from now on" within_bound file_is /mnt/hf/whole '.state == "protected"'
check "and its past is unknown" file_is /mnt/hf/whole '[.reasons[].id] == ["late"]'
check "with process, device and length" file_is /mnt/hf/whole '.process.comm == "hf-lab-register" and .device == "rxe_a" and .length_bytes == 4194304'
check "truncate is refused" refused truncate -s 0 /mnt/hf/whole
check "of the other it is said on which file it may lie" bash -c 'holdfast registrations --json | jq -e ".registrations[] | select(.state == \"unprotected\") | ([.reasons[].id] == [\"range-unknown\"]) and (.warnings | any(test(\"/mnt/hf/part\")))"'
check "in words, too" grep -q "may lie on /mnt/hf/part" <(holdfast registrations)
register after --map /mnt/hf/after:0:1048576
check "a registration from then on is as ever" file_is /mnt/hf/after '.state == "protected" and .reasons == []'

section "a new daemon"
daemon_kill
daemon_start
check "it knows them still" within_bound count_is 3
check "the old one is protected" refused truncate -s 0 /mnt/hf/whole

section "their end"
stop whole KILL
check "is noticed" within_bound count_is 2
check "truncate succeeds" allowed /mnt/hf/whole
stop several KILL
check "and that of the unknown one" within_bound count_is 1
stop after
check "nothing is left" within_bound count_is 0
conclude
