#!/usr/bin/env bash
# Seals over each filesystem: on and off, for an ordinary user and for root, with exceptions; the configuration that sets them; holds that need nobody to ask.
# Usage in the lab (--fs none --no-rdma --hugepages 32): seals.sh [FILESYSTEM...]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
etc=/etc/holdfast
rm -rf $etc
mkdir -p $etc/conf.d
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
size() { stat -c %s "$1"; }
configuration() { cat >$etc/holdfast.toml; }
denial_seal() { holdfast why "$1" --json | jq -r .last_denial.seal; }

shares() { [ "$1" = xfs ]; }

one_filesystem() { # KIND
  local kind=$1 half=2097152
  section "$kind"
  mount_kind "$kind"
  make_file $file 4
  start guarding bash -c 'until holdfast guard /mnt/hf --seal truncate,punch 2>/dev/null; do read -rt 0.1 _ || :; done; echo guarded'
  hear guarding guarded
  ended guarding
  check "nothing is leased" test "$(leased_files)" = 0
  check "truncate is refused to root" refused truncate -s $half $file
  check "and to an ordinary user" refused as_nobody truncate -s $half $file
  check "the denial names the seal" same truncate "$(denial_seal $file)"
  check "a punch is refused" refused fallocate -p -o 0 -l $half $file
  check "and named" same punch "$(denial_seal $file)"
  check "holdfast why says so beforehand" test "$(holdfast why $file --json | jq -r '.seals')" = "truncate punch"
  check "growing goes on" truncate -s 6M $file
  if [ "$kind" != hugetlbfs ]; then check "writing goes on" dd if=/dev/zero of=$file bs=4096 count=1 conv=notrunc status=none; fi
  check "a new file is sealed, too" bash -c "truncate -s $half /mnt/hf/other && ! truncate -s 0 /mnt/hf/other 2>/dev/null"
  check "unlinking goes on" rm /mnt/hf/other
  if shares "$kind"; then
    check "reflinks are not sealed yet" cp --reflink=always $file /mnt/hf/clone
    rm /mnt/hf/clone
    check "now they are" holdfast guard /mnt/hf --seal reflink
    check "cp --reflink=always is refused" refused cp --reflink=always $file /mnt/hf/clone
    check "cp --reflink=auto copies instead" cp --reflink=auto $file /mnt/hf/clone
    check "whole" cmp $file /mnt/hf/clone
    check "without sharing a block" not grep -q shared <(filefrag -v /mnt/hf/clone)
    check "truncate is free again" truncate -s 4M $file
  fi
  check "every seal" holdfast guard /mnt/hf --seal all
  check "refuses every break source" break_all refused $file --length 4194304 --only break
  check "but a user who is excepted" bash -c "holdfast guard /mnt/hf --seal all --except-user nobody && setpriv --reuid nobody --regid nogroup --clear-groups truncate -s 4M $file"
  check "root is not that user" refused truncate -s 2M $file
  check "a program that is excepted" holdfast guard /mnt/hf --seal all --except-program "$(command -v truncate)"
  check "runs for root" truncate -s 4M $file
  make_file /tmp/nothing 1
  check "not for others" refused as_nobody truncate -s 2M $file
  check "and no other program" refused fallocate -p -o 0 -l $half $file
  check "a lease holds against an exception" bash -c "holdfast hold $file -- truncate -s 0 $file; [ \$? = 1 ]"
  check "seals come off" holdfast guard /mnt/hf
  make_file $file 4
  check "and every operation works again" break_all allowed $file --length 4194304
  check "exempt" holdfast unguard /mnt/hf
  make_file $file 4
  check "nobody holds there" fails 5 'exempts' holdfast hold $file
  check "guarded again" holdfast guard /mnt/hf --seal truncate
  umount /mnt/hf
  rm -f $etc/conf.d/80-managed.toml
}

section "configuration"
check "none is the defaults" fails 0 'defaults hold' holdfast config check
configuration <<'TOML'
[default]
read_only = "observe"
[[mount]]
path = "/mnt/hf"
seals = ["truncate", "pnuch"]
TOML
check "a mistake is told with line and column" fails 1 'holdfast.toml:5:22: there is no seal "pnuch"' holdfast config check
daemon_start
check "the daemon goes on with the defaults" test "$(holdfast status --json | jq -r .gate.armed_by)" != null
check "and says the same on reload" fails 2 'holdfast.toml:5:22: there is no seal "pnuch"' holdfast reload
sed -i 's/pnuch/punch/' $etc/holdfast.toml
chmod o+w $etc/holdfast.toml
check "a file that others could write is not trusted" fails 4 'others than root' holdfast reload
chmod o-w $etc/holdfast.toml
check "mended, it is in force" holdfast reload
check "guard is root's" fails 4 'only root' as_nobody holdfast guard /mnt/hf
check "reload is root's" fails 4 'only root' as_nobody holdfast reload
check "a folder that is no mount" fails 5 'no filesystem' holdfast guard /etc
check "an unknown seal" fails 2 'no seal "x"' holdfast guard /tmp --seal x

section "a rule before its mount"
mount_kind tmpfs
make_file $file 4
start sealed bash -c "until ! truncate -s 4M $file 2>/dev/null || ! truncate -s 1M $file 2>/dev/null; do truncate -s 4M $file; done; echo sealed"
hear sealed '^sealed'
ended sealed
check "seals it when it comes" refused truncate -s 0 $file
sed -i 's/"truncate", //' $etc/holdfast.toml
kill -HUP "${pid_of[daemon]}"
hear daemon 'configuration reloaded'
check "SIGHUP reloads" truncate -s 4M $file
check "and keeps the rest" refused fallocate -p -o 0 -l 4096 $file
daemon_kill
check "seals stand without the daemon" refused fallocate -p -o 0 -l 4096 $file
echo 'nonsense =' >$etc/conf.d/90-broken.toml
start daemon holdfastd
hear daemon '90-broken.toml:1'
hear daemon 'serving'
rm $etc/conf.d/90-broken.toml $etc/holdfast.toml
check "an empty configuration unseals" holdfast reload
check "a punch succeeds" fallocate -p -o 0 -l 4096 $file

section "holds by configuration"
make_file $file 4
check "hold --persist" holdfast hold $file --persist
check "refused at once" refused truncate -s 0 $file
check "it is listed" test "$(holdfast leases --json | jq -r '.files[0].leases[0].kind')" = static
daemon_kill
check "and without the daemon" refused truncate -s 0 $file
daemon_start
check "one lease after the restart" test "$(holdfast leases --json | jq '[.files[].leases[]] | length')" = 1
watch_events
check "--forget" holdfast hold $file --forget
hear watcher '"event":"lease_ended"'
check "ends it" truncate -s 0 $file
make_file $file 4
make_file /mnt/hf/seg-1 1
ln -s /mnt/hf/victim /mnt/hf/seg-2
make_file /mnt/hf/victim 1
printf '[[hold]]\nfiles = ["/mnt/hf/seg-*"]\n' >$etc/holdfast.toml
check "a pattern" holdfast reload
hear watcher '"event":"lease"'
check "holds what it stands for" refused truncate -s 0 /mnt/hf/seg-1
check "but not through a symbolic link" truncate -s 0 /mnt/hf/victim
rm $etc/holdfast.toml
check "and lets go" holdfast reload
hear watcher '"event":"lease_ended"'
stop watcher

section "who may hold, and how much"
printf '[[mount]]\npath = "/mnt/hf"\nholders = { users = ["nobody"] }\nquota = { leases = 2, bytes = "5M" }\n' >$etc/holdfast.toml
holdfast reload
make_file $file 4
chown daemon $file
check "root may" holdfast hold $file -- true
check "nobody may" as_nobody holdfast hold $file -- true
check "another may not" fails 125 'lets user' setpriv --reuid daemon --clear-groups holdfast hold $file -- true
start one setpriv --reuid nobody --regid nogroup --clear-groups holdfast hold $file --range 0:3M
hear one '^lease '
check "beyond the bytes" fails 125 'bytes' as_nobody holdfast hold $file --range 0:3M -- true
start two setpriv --reuid nobody --regid nogroup --clear-groups holdfast hold $file --range 3M:4K
hear two '^lease '
check "beyond the leases" fails 125 'as many as' as_nobody holdfast hold $file --range 3M:4K -- true
check "root is not bound" holdfast hold $file -- true
stop one
stop two
printf '[[mount]]\npath = "/mnt/hf"\nquota = { time = "2s" }\n' >$etc/holdfast.toml
holdfast reload
start short setpriv --reuid nobody --regid nogroup --clear-groups holdfast hold $file
hear short '^lease '
check "a lease that stands longer than it may ends" hear daemon 'stood as long as a lease may'
check "and its holder is told" hear short 'is lost'
check "the file is free" truncate -s 2M $file
stop short
make_file $file 4

section "a holder that breaks its own range"
own() { holdfast probe /mnt/hf --source truncate --route holder --leased-only --json | jq -r '[.trials[] | .error // .result] | unique | join(" ")'; }
chmod 777 /mnt/hf
for answer in deadlock=EDEADLK busy=ETXTBSY allow=allowed; do
  printf '[[mount]]\npath = "/mnt/hf"\nown_break = "%s"\n' "${answer%=*}" >$etc/holdfast.toml
  holdfast reload
  check "own_break ${answer%=*}: ${answer#*=}" same "${answer#*=}" "$(own)"
done
umount /mnt/hf
rm $etc/holdfast.toml
holdfast reload

for kind in "${@:-xfs}"; do one_filesystem "$kind"; done
conclude
