#!/usr/bin/env bash
# Attempts to misuse Holdfast: by readers, by users who exhaust what there is, by clients that lie, never read or vanish, by breakers that flood, by names
# and numbers that are used again, by set-user-ID programs and user namespaces. Each must end the same way: others are not affected, and it is said who.
# In the lab: any kernel, --fs none.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

file=/mnt/hf/file
socket=/run/holdfast/holdfast.sock
etc=/etc/holdfast
rm -rf $etc
mkdir -p $etc
nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
as_nobody() { "${nobody[@]}" "$@"; }
serves() { holdfast status --json | jq -e .pid; }
memory_kib() { awk '/^VmRSS/ {print $2}' "/proc/${pid_of[daemon]}/status"; }
descriptors() { find "/proc/${pid_of[daemon]}/fd" | wc -l; }

mount_kind tmpfs
make_file $file 4
daemon_start
watch_events

section "a reader"
chmod 644 $file
check "can't hold the file" fails 125 'reading only' as_nobody holdfast hold $file -- true
check "nor by a descriptor that somebody else opened for reading" fails 125 'reading only' bash -c "${nobody[*]} holdfast hold /dev/fd/7 -- true 7<$file"
start reader ip netns exec hfa "${nobody[@]}" hf-lab-register --device rxe_a --map $file:0:1048576 --read-only
if hear reader '"ready": true' 2>/dev/null; then
  check "a registration of a reader is only observed" test "$(state_of hf-lab-register)" = observed
fi
check "the owner truncates" truncate -s 2M $file
stop reader
make_file $file 4

section "quotas"
printf '[default]\nquota = { leases = 8 }\n[limits]\nregistrations_per_user = 8\n' >$etc/holdfast.toml
holdfast reload >/dev/null
for i in {1..8}; do
  start "q$i" "${nobody[@]}" holdfast hold $file --range "$((i * 8))K:4K"
  hear "q$i" '^lease '
done
check "the ninth lease is refused" fails 125 'as many as' as_nobody holdfast hold $file --range 128K:4K -- true
check "another user is not affected" setpriv --reuid daemon --clear-groups holdfast hold $file --range 128K:4K -- true
for i in {1..8}; do stop "q$i"; done
# rxe's memory regions are the network administrator's to make.
chmod 666 /dev/infiniband/* 2>/dev/null || :
start many ip netns exec hfa setpriv --reuid nobody --clear-groups --inh-caps -all hf-lab-register --device rxe_a --map $file:0:4096 --repeat 12 --stride 16384 --separate
if hear many '"ready": true' 2>/dev/null; then
  check "eight registrations are protected" test "$(holdfast registrations --json | jq '[.registrations[] | select(.state == "protected")] | length')" = 8
  check "the others are told, with whose they are" hear daemon 'user 65534 has as many'
  check "and leave nothing" test "$(holdfast registrations --json | jq '.registrations | length')" = 8
  start mine ip netns exec hfa hf-lab-register --device rxe_a --map $file:2097152:4096
  hear mine '"ready": true'
  check "root's is protected" test "$(holdfast registrations --json | jq '[.registrations[] | select(.process.uid == 0 and .state == "protected")] | length')" = 1
  stop mine
else
  echo "  (this machine lets no ordinary user register memory)"
fi
stop many
rm $etc/holdfast.toml
holdfast reload >/dev/null

section "clients that lie"
send() { timeout 5 nc -U $socket >/dev/null 2>&1 || :; }
if ! command -v nc >/dev/null; then send() { timeout 5 busybox nc local:$socket >/dev/null 2>&1 || :; }; fi
cat >/tmp/abuse.py <<'PY'
import os, socket, struct, sys, resource
path = "/run/holdfast/holdfast.sock"
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
MAGIC = 0x48465731
def connect():
    s = socket.socket(socket.AF_UNIX); s.connect(path); return s
def frame(kind, payload=b"", cookie=1, size=None, magic=MAGIC):
    return struct.pack("<IIIIQ", magic, len(payload) if size is None else size, kind, 0, cookie) + payload
HELLO = frame(1, struct.pack("<II32s", 1, 2, b"abuse"))
what = sys.argv[1]
if what == "forged":
    for bytes_ in [os.urandom(64), frame(1, size=0xffffffff), frame(1, magic=1), frame(2), frame(99), HELLO + frame(2, b"x" * 71), HELLO + frame(4, struct.pack("<QQ", 1, 1)),
                   HELLO + frame(3, struct.pack("<Q", 2**63)), HELLO + frame(7, struct.pack("<QII", 1, 1, 0)), HELLO + frame(5, b"{" * 60000), HELLO + frame(5, b'{"do": 7}'),
                   HELLO + frame(5, b"[" * 60000), HELLO + frame(5, b'{"query": "leases", "limit": -1}'), HELLO[:20]]:
        s = connect(); s.settimeout(5)
        try:
            s.sendall(bytes_); s.recv(65536)
        except OSError: pass
        s.close()
    # Descriptors of the wrong kind, and too many of them.
    r, w = os.pipe()
    wrong = [r, os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR), os.open("/mnt/hf/file", os.O_PATH), socket.socket(socket.AF_UNIX).detach(), os.open(path, os.O_PATH)]
    for fds in [[fd] for fd in wrong] + [wrong, []]:
        s = connect(); s.settimeout(5); s.sendall(HELLO); s.recv(65536)
        ask = frame(2, struct.pack("<II64s", 0, 0, b"abuse"))
        try:
            if fds: socket.send_fds(s, [ask], fds)
            else: s.sendall(ask)
            reply = s.recv(65536)
            assert struct.unpack("<IIIIQ", reply[:24])[2] == 17, "a lease on something that is no file"
        except OSError: pass
        s.close()
elif what == "crowd":
    crowd = []
    for _ in range(int(sys.argv[2])):
        try: crowd.append(connect())
        except OSError: break
    print("crowd", len(crowd), flush=True)
    sys.stdin.readline()
elif what == "deaf":
    crowd = []
    for _ in range(200):
        s = connect(); s.sendall(HELLO + frame(6, struct.pack("<II", 2, 0))); s.setblocking(False)
        crowd.append(s)
    s = connect(); s.sendall(HELLO); s.setblocking(False)
    try:
        while True: s.sendall(frame(5, b'{"query": "status"}'))
    except BlockingIOError: pass
    crowd.append(s)
    print("deaf", len(crowd), flush=True)
    sys.stdin.readline()
elif what == "vanish":
    fd = os.open("/mnt/hf/file", os.O_RDWR)
    for _ in range(200):
        s = connect(); socket.send_fds(s, [HELLO + frame(2, struct.pack("<II64s", 0, 0, b"gone"))], [fd]); s.close()
PY
python=$(command -v python3 || :)
if [ -z "$python" ]; then
  echo "  (no python here: left out)"
else
  before=$(descriptors)
  check "forged and truncated frames, wrong descriptors" as_nobody python3 /tmp/abuse.py forged
  check "the daemon serves" serves
  check "a holder that vanishes between request and reply" python3 /tmp/abuse.py vanish
  gone() { for _ in {1..100}; do [ "$(leased_files)" = 0 ] && return; read -rt 0.1 _ <> <(:) || :; done; return 1; }
  check "leaves no lease" gone
  start crowd "${nobody[@]}" python3 /tmp/abuse.py crowd 10000
  hear crowd '^crowd'
  check "10,000 connections of one user: others are served" serves
  stop crowd
  start crowd python3 /tmp/abuse.py crowd 10000
  hear crowd '^crowd'
  check "of root: bounded as well" test "$(descriptors)" -lt 5000
  stop crowd
  base=$(memory_kib)
  start deaf python3 /tmp/abuse.py deaf
  hear deaf '^deaf'
  start held holdfast hold $file
  hear held '^lease '
  check "clients that never read: a flood of denials goes on being refused" bash -c "for i in {1..3000}; do truncate -s 0 $file 2>/dev/null && exit 1; done; true"
  check "the daemon serves" serves
  grown=$(($(memory_kib) - base))
  check "in bounded memory (grew by $grown KiB)" test $grown -lt 131072
  check "every denial is counted" test "$(holdfast status --json | jq .gate.denials)" -ge 3000
  stop deaf
  stop held
  settled() { for _ in {1..100}; do [ "$(descriptors)" -le $((before + 8)) ] && return; read -rt 0.1 _ <> <(:) || :; done; descriptors; return 1; }
  check "no descriptor is left" settled
  check "the journal was not theirs to fill" test "$(grep -c refused "${log_of[daemon]}")" -lt 400
fi

section "names and numbers that are used again"
make_file $file 4
start held holdfast hold $file
hear held '^lease '
rm $file
make_file $file 4
check "the new file of the old name is free" truncate -s 2M $file
stop held
make_file $file 4
start held holdfast hold $file
hear held '^lease '
daemon_kill
stop held KILL
rm $file
make_file $file 4
check "an inode that is used again is not the leased one" truncate -s 2M $file
daemon_start
check "what stood for a process that is gone has ended" test "$(leased_files)" = 0
make_file $file 4
make_file /mnt/hf/mine 1
ln -sf /mnt/hf/file /mnt/hf/link
start held holdfast hold /mnt/hf/link
hear held '^lease '
ln -sf /mnt/hf/mine /mnt/hf/link
check "a symbolic link that is turned: the file is held" refused truncate -s 0 $file
check "not what it leads to now" truncate -s 0 /mnt/hf/mine
mkdir -p /mnt/over
mount --bind /mnt/hf /mnt/over
check "by another mount of it, too" refused truncate -s 0 /mnt/over/file
mount -t tmpfs over /mnt/hf
check "and under another mount" refused truncate -s 0 /mnt/over/file
umount /mnt/hf /mnt/over
stop held

section "set-user-ID programs and user namespaces"
make_file $file 4
start held holdfast hold $file
hear held '^lease '
cp "$(command -v truncate)" /tmp/suid-truncate
chmod 4755 /tmp/suid-truncate
check "a set-user-ID program is refused" refused as_nobody /tmp/suid-truncate -s 0 $file
check "root of a user namespace is refused" refused as_nobody unshare --user --map-root-user truncate -s 0 $file
check "and may do nothing here" fails 4 'root' as_nobody unshare --user --map-root-user holdfast recall $file
check "nor reload" fails 4 'root' as_nobody unshare --user --map-root-user holdfast reload
stop held
holdfast guard /mnt/hf --seal truncate --except-program "$(command -v truncate)" >/dev/null
check "nor is it the root whom a seal excepts" refused as_nobody unshare --user --map-root-user truncate -s 0 $file
check "as root is" truncate -s 4M $file
check "who may shrink it" truncate -s 2M $file
holdfast guard /mnt/hf >/dev/null

section "nothing is left"
check "no lease" test "$(leased_files)" = 0
check "the gate is armed" test "$(holdfast gate status --json | jq -r .armed)" = true
check "the daemon is the same" serves
conclude
