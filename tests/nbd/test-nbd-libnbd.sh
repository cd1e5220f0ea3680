#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Byte-granular random requests of libnbd, many in flight, end up as the model says.
. "${top_srcdir:=.}/tests/functions.sh"
# The bindings belong to the system's python, which need not be the first in PATH.
python=/usr/bin/python3
requires "$python" -c 'import nbd'

truncate -s 1M "$tmp/img"
start_disk "aio:$tmp/img"
seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom)}
echo "SEED=$seed"
export uri seed

"$python" - <<'SCRIPT'
import os
import random

import nbd

SIZE = 1 << 20
generator = random.Random(int(os.environ['seed']))
model = bytearray(SIZE)
handles = [nbd.NBD() for _ in range(4)]
for handle in handles:
    handle.connect_uri(os.environ['uri'])

for _ in range(60):
    # Requests in flight together share sectors, never bytes.
    at = generator.randrange(SIZE // 2)
    sent = []
    while at < SIZE - 10000:
        handle = generator.choice(handles)
        length = generator.choice((1, 3, 100, 511, 512, 513, 4096, 9999))
        what = generator.randrange(4)
        if what == 0:
            sent.append((handle, handle.aio_zero(length, at)))
            model[at:at + length] = bytes(length)
        elif what < 3:
            data = generator.randbytes(length)
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            flags = nbd.CMD_FLAG_FUA if what == 1 else 0
            sent.append((handle, handle.aio_pwrite(buffer, at, flags=flags)))
            model[at:at + length] = data
        at += length + generator.choice((0, 0, 0, 1, 100, 5000))
    for handle, cookie in sent:
        while not handle.aio_command_completed(cookie):
            handle.poll(-1)
    generator.choice(handles).flush()
    start = generator.randrange(SIZE)
    length = generator.randrange(1, SIZE - start + 1)
    assert generator.choice(handles).pread(length, start) == model[start:start + length]
assert handles[0].pread(SIZE, 0) == model
for handle in handles:
    handle.shutdown()
SCRIPT
stop_disk "$pid" "$minor"
nothing_left
