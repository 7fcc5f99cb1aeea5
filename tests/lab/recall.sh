#!/usr/bin/env bash
# Recall: three holders (one lets go, one fences, one ignores) under each --on-timeout; the maintenance window, in which a defragmenter runs and nobody else
# may; what a restart of the daemon, the death of the one who asked, and a registration in between do to it.
# In the lab: any kernel, --fs none.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
etc=/etc/holdfast
rm -rf $etc
mkdir -p $etc
printf '[recall]\nfence_time = "1s"\nterminate_time = "1s"\n' >$etc/holdfast.toml

begin_holder() { # NAME OPTION...
  local name=$1
  shift
  start "$name" hf-lab-holder $file "$@"
  hear "$name" '"held"'
}
three_holders() {
  begin_holder kind
  begin_holder fences --on-recall ignore --on-fence fence
  begin_holder deaf --on-recall ignore --stubborn
}
leases_now() { holdfast leases --json | jq '[.files[].leases[]] | length'; }
recall_left() { holdfast status --json | jq '.recalls | length'; }
gone() { not kill -0 "$1"; }

mount_kind tmpfs
make_file $file 4
daemon_start
watch_events

section "nobody holds it"
check "without a command" holdfast recall $file
check "with one, which may break it" holdfast recall $file -- truncate -s 2M $file
check "it ran" test "$(stat -c %s $file)" = 2097152
check "its status is ours" fails 7 '' holdfast recall $file -- sh -c 'exit 7'
check "one that is not there" fails 127 'cannot run' holdfast recall $file -- /no/such
make_file $file 4

section "three holders, --on-timeout deny"
three_holders
check "it gives up" fails 1 '2 holders has not|2 holders' holdfast recall $file --wait 1s
hear kind '"released"'
hear kind '"recall-over"'
hear fences '"recall-over"'
hear deaf '"recall-over"'
check "two hold on" test "$(leases_now)" = 2
check "the file is protected" refused truncate -s 0 $file
check "a command is not run" fails 125 '' holdfast recall $file --wait 1s -- touch /tmp/ran
check "really" test ! -e /tmp/ran
stop kind

section "--on-timeout fence"
check "one is fenced, one is left" fails 1 'has fenced its memory' holdfast recall $file --wait 1s --on-timeout fence
hear fences '"fenced"'
check "one holds on" test "$(leases_now)" = 1
stop fences

section "--on-timeout kill"
check "not unless it is configured" fails 4 'escalation' holdfast recall $file --wait 1s --on-timeout kill
check "nobody was ended" kill -0 "${pid_of[deaf]}"
printf '[recall]\nfence_time = "1s"\nterminate_time = "1s"\nescalation = "kill"\n' >$etc/holdfast.toml
holdfast reload >/dev/null
deaf=${pid_of[deaf]}
check "the deaf one is ended, and named" fails 0 "hf-lab-holder\[$deaf\].*got SIGKILL" holdfast recall $file --wait 1s --on-timeout kill -- truncate -s 0 $file
hear daemon "SIGTERM to process $deaf .hf-lab-holder. of uid 0"
hear daemon "SIGKILL to process $deaf"
ended deaf || :
check "the command ran" test "$(stat -c %s $file)" = 0
check "nothing is left of it" test "$(leases_now)" = 0
make_file $file 4

section "a holder that says no"
begin_holder no --on-recall refuse
check "is not waited for" fails 1 'says no' timeout 20 holdfast recall $file --wait 60s
check "and not ended" kill -0 "${pid_of[no]}"
stop no

section "the window"
start window holdfast recall $file -- bash -c "echo open; while read -r line; do eval \"\$line\"; echo status \$?; done"
hear window '^open'
check "nobody else may break it" refused truncate -s 0 $file
check "nor hold it" fails 125 'recalled' holdfast hold $file -- true
tell window "truncate -s 1M $file"
hear window '^status 0'
check "the command may" test "$(stat -c %s $file)" = 1048576
tell window "sh -c 'truncate -s 2M $file && truncate -s 1M $file'"
hear window '^status 0'
tell window "setsid -w sh -c 'truncate -s 512K $file'"
hear window '^status 0'
check "so may its children" test "$(stat -c %s $file)" = 524288
daemon_kill
check "without the daemon nobody else may" refused truncate -s 0 $file
tell window "truncate -s 256K $file"
hear window '^status 0'
daemon_start
check "the window goes on with the next daemon" test "$(recall_left)" = 1
check "still for nobody else" refused truncate -s 0 $file
tell window "truncate -s 128K $file"
hear window '^status 0'
stop watcher
watch_events
tell window exit
ended window
hear watcher '"event":"recall_ended"'
check "it ends with the command" test "$(recall_left)" = 0
check "and the file is free" truncate -s 4M $file
make_file $file 4

section "the window of a whole filesystem"
make_file /mnt/hf/free 1
begin_holder kind
start window holdfast recall /mnt/hf --wait 20s -- bash -c "echo open; while read -r line; do eval \"\$line\"; echo status \$?; done"
hear kind '"released"'
hear window '^open'
check "nobody else may break a file that nobody held" refused truncate -s 0 /mnt/hf/free
check "nor one that somebody did" refused truncate -s 0 $file
check "nor a new one" refused bash -c 'echo content >/mnt/hf/new && truncate -s 0 /mnt/hf/new'
check "nor hold one" fails 125 'recalled' holdfast hold /mnt/hf/free -- true
tell window "truncate -s 512K /mnt/hf/free && truncate -s 512K $file"
hear window '^status 0'
check "the command may" test "$(stat -c %s /mnt/hf/free $file | uniq)" = 524288
daemon_kill
check "without the daemon nobody else may" refused truncate -s 0 /mnt/hf/free
daemon_start
check "the window goes on with the next daemon" test "$(recall_left)" = 1
stop watcher
watch_events
tell window exit
ended window
hear watcher '"event":"recall_ended"'
check "it ends with the command" truncate -s 1M /mnt/hf/free
stop kind
make_file $file 4

section "the one who asked is killed"
start window holdfast recall $file -- sh -c 'echo open; exec sleep 600 >/dev/null 2>&1'
hear window '^open'
stop window KILL
hear watcher '"event":"recall_ended"'
check "the window is closed" test "$(recall_left)" = 0
make_file $file 4

section "the daemon is away when the command ends"
start window holdfast recall $file -- bash -c "echo open; read -r _"
hear window '^open'
daemon_kill
tell window x
ended window || :
check "nobody may break it yet" refused truncate -s 0 $file
daemon_start
check "the next daemon closes the window" truncate -s 0 $file
check "and nothing is left" test "$(leases_now)" = 0
make_file $file 4
stop watcher
watch_events

section "a static hold gives way, and comes back"
holdfast hold $file --persist
check "refused" refused truncate -s 0 $file
check "the window passes it" holdfast recall $file -- truncate -s 2M $file
hear watcher '"event":"recall_ended"'
check "held again" test "$(holdfast leases --json | jq '[.files[].leases[] | select(.kind == "static")] | length')" = 1
check "refused again" refused truncate -s 0 $file
holdfast hold $file --forget
hear watcher '"event":"lease_ended"'
stop watcher

section "registrations"
watch_events
make_file $file 4
start holder ip netns exec hfa hf-lab-register --device rxe_a --map $file:0:1048576
hear holder '"ready": true'
check "one that no library answers for holds on" fails 1 'registration' holdfast recall $file --wait 1s --on-timeout fence
start recall holdfast recall $file --wait 60s -- sh -c 'echo open; read -r _; truncate -s 2M '$file'; echo status $?; read -r _; truncate -s 1M '$file'; echo status $?'
hear recall 'asked to let go'
tell holder dereg
hear holder '"order"'
hear recall '^open'
start late ip netns exec hfa hf-lab-register --device rxe_a --map $file:0:1048576
hear late '"ready": true'
tell recall x
hear recall '^status 0'
check "a break beside the new registration was allowed" test "$(stat -c %s $file)" = 2097152
stop late
hear watcher '"event":"registration_ended"'
start late ip netns exec hfa hf-lab-register --device rxe_a --map $file:1048576:1048576
hear late '"ready": true'
tell recall x
hear recall '^status 1'
check "a lease refuses even the window's command" test "$(stat -c %s $file)" = 2097152
ended recall || :
stop late
stop holder
stop watcher

section "permission"
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
check "an ordinary user may not" fails 4 'only root' as_nobody holdfast recall $file
printf '[recall]\ngroup = "audio"\n' >$etc/holdfast.toml
holdfast reload >/dev/null
check "one of the group may" setpriv --reuid nobody --regid nogroup --groups audio holdfast recall $file
umount /mnt/hf

for kind in xfs ext4; do
  section "a defragmenter in the window, $kind"
  mount_kind $kind
  [ $kind = xfs ] || { umount /mnt/hf; mount /dev/pmem0 /mnt/hf; } # e4defrag moves no DAX file
  make_file $file 4
  make_file /mnt/hf/other 4
  # In pieces, so that there is something to put together: another file takes what would come next.
  rm $file
  truncate -s 1M $file /mnt/hf/between
  for i in {15..0}; do
    for each in $file /mnt/hf/between; do dd if=/dev/urandom of="$each" bs=64K count=1 seek="$i" conv=notrunc,fsync status=none; done
  done
  before=$(sha256sum <$file) pieces=$(filefrag $file)
  begin_holder keeps --on-recall release
  start other hf-lab-holder /mnt/hf/other
  hear other '"held"'
  case $kind in xfs) tool=(xfs_fsr -v "$file") ;; ext4) tool=(e4defrag -v "$file") ;; esac
  check "outside of it nothing is moved" bash -c "${tool[*]} >/tmp/fsr 2>&1 || :; [ \"\$(filefrag $file)\" = '$pieces' ]"
  check "in the window it runs" bash -c "holdfast recall $file --wait 20s -- ${tool[*]} >/tmp/fsr 2>&1"
  sed 's/^/    /' /tmp/fsr | tail -n 6
  check "the content is the same" same "$before" "$(sha256sum <$file)"
  case $pieces in
    *': 1 extent found') echo "  (the filesystem had put it in one piece, so there was nothing to put together)" ;;
    *) check "in fewer pieces" test "$(filefrag $file | grep -oE '[0-9]+ extent')" != "$(grep -oE '[0-9]+ extent' <<<"$pieces")" ;;
  esac
  check "the other file's lease stood" refused truncate -s 0 /mnt/hf/other
  check "the file is free afterwards" truncate -s 4M $file
  stop keeps
  stop other
  umount /mnt/hf
done
conclude
