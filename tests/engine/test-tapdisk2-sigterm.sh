#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SIGTERM under load: what was answered is in the image, and nothing is left behind.
. "${top_srcdir:=.}/tests/functions.sh"

truncate -s 64M "$tmp/img"
start_disk "aio:$tmp/img"
"$PYTHON" - "$(socket_of "$uri")" "$pid" "$tmp/img" <<'EOF'
import os, signal, socket, struct, sys

nbd, pid, image = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = socket.socket(socket.AF_UNIX)
client.settimeout(60)
client.connect(nbd)

def read(length):
    data = b''
    while len(data) < length:
        more = client.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data

read(18)
client.sendall(struct.pack('>I', 3) + struct.pack('>QIIIH', 0x49484156454F5054, 7, 6, 0, 0))
while True:
    _, _, kind, length = struct.unpack('>QIII', read(20))
    read(length)
    if kind == 1:
        break

# Keep 32 writes in flight; each block holds its own number.
size, blocks, answered, sent, stopped = 4096, 16384, set(), 0, False

def send(number):
    payload = struct.pack('<Q', number + 1) * (size // 8)
    client.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 1, number, number * size, size) + payload)

try:
    while len(answered) < blocks:
        while sent < blocks and sent - len(answered) < 32:
            send(sent)
            sent += 1
        magic, error, number = struct.unpack('>IIQ', read(16))
        if error:
            assert error == 108, error  # the server is going down
        else:
            answered.add(number)
        if len(answered) >= 1000 and not stopped:
            os.kill(pid, signal.SIGTERM)
            stopped = True
        if error:
            sent = blocks
            if stopped and error:
                break
except (EOFError, ConnectionError):
    pass
assert stopped and len(answered) >= 1000, len(answered)

while True:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        break
    try:
        if not client.recv(65536):
            os.sched_yield()
    except (ConnectionError, TimeoutError):
        os.sched_yield()
with open(image, 'rb') as file:
    for number in answered:
        file.seek(number * size)
        assert file.read(8) == struct.pack('<Q', number + 1), number
print(len(answered), 'answered writes are in the image')
EOF
wait_gone "$pid"
for left in "$BLKTAP_CONTROL_DIR"/*"$pid"* "/dev/shm/td3-$pid"; do
    test ! -e "$left" || fail "$left is left"
done

# Twice: by force, and it still ends.
start_disk "aio:$tmp/img"
kill -TERM "$pid"
kill -TERM "$pid" 2>/dev/null || :
wait_gone "$pid"

# While the image of -n is being opened: whoever has a lease on a file makes others wait for it.
BLKTAP_CONTROL_DIR=$tmp/other
"$PYTHON" - "$tmp/img" <<'EOF'
import fcntl, os, signal, subprocess, sys

image = sys.argv[1]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
lease = os.open(image, os.O_RDWR)
fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
server = subprocess.Popen(['tapdisk2', '-D', '-n', 'aio:' + image], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
assert signal.sigtimedwait({signal.SIGIO}, 60), 'nobody opens the image'
server.send_signal(signal.SIGTERM)
said = b''
while b'closing all disks' not in said:
    more = os.read(server.stdout.fileno(), 4096)
    assert more, said
    said += more
os.close(lease)
server.communicate(timeout=60)
EOF
nothing_left
