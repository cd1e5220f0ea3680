#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Clients that die, stop in the middle of a word, claim a gibibyte, or come by the thousand harm nobody
# else.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

truncate -s 4M "$tmp/img"
start_disk "aio:$tmp/img"
qemu-io -f raw "$uri" -c 'write -P 3 0 1M' -c flush >/dev/null

"$PYTHON" - "$(socket_of "$uri")" "$BLKTAP_CONTROL_DIR/ctl$pid" <<'EOF'
import socket, struct, sys

nbd, ctl = sys.argv[1:]

def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(path)
    return client

def read(client, length):
    data = b''
    while len(data) < length:
        more = client.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data

def greeted():
    client = connect(nbd)
    assert read(client, 18)[:8] == b'NBDMAGIC'
    client.sendall(struct.pack('>I', 3))
    return client

OPTION = struct.Struct('>QII')
MAGIC = 0x49484156454F5054

# An option that claims a gibibyte ends its connection.
client = greeted()
client.sendall(OPTION.pack(MAGIC, 3, 1 << 30))
try:
    assert not client.recv(1), 'an answer to a gibibyte'
except ConnectionError:
    pass

# A client that dies in the middle of a write: nothing of it is applied.
client = greeted()
client.sendall(OPTION.pack(MAGIC, 7, 6) + struct.pack('>IH', 0, 0))
while True:
    _, _, kind, length = struct.unpack('>QIII', read(client, 20))
    read(client, length)
    if kind == 1:
        break
client.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 1, 1, 0, 65536) + b'\xff' * 40000)
client.close()

# Half a control message, and then nothing.
half = connect(ctl)
half.sendall(struct.pack('<HH', 3, 0) + b'\0' * 200)
other = connect(ctl)
other.sendall(struct.pack('<HH', 3, 0) + b'\0' * 540)
assert struct.unpack('<HH', read(other, 544)[:4])[0] == 4, 'no pid'

# Ten thousand connections, as many at a time as a client may have.
kept = []
for n in range(10000):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        client.connect(nbd)
        kept.append(client)
    except BlockingIOError:
        client.close()
    if len(kept) == 500:
        for client in kept:
            client.close()
        kept = []
EOF

wait_for qemu-io -f raw "$uri" -c 'read -P 3 0 1M'
test "$(tap-ctl list)" = "pid=$pid minor=$minor state=0 args=aio:$tmp/img" || fail "$(tap-ctl list)"
fds() {
    find "/proc/$pid/fd" -maxdepth 1 -type l | wc -l
}
few() {
    test "$(fds)" -lt 40
}
wait_for few
