# SPDX-License-Identifier: BSD-2-Clause
"""Write, flush, read back and compare on one connection, until the file STOP appears.

    client.py URI WRITES STOP

After each round the number of rounds is written to the file WRITES.
"""

import os
import sys

import nbd

URI, WRITES, STOP = sys.argv[1:]
BLOCK = 65536

client = nbd.NBD()
client.connect_uri(URI)
blocks = client.get_size() // BLOCK
rounds = 0
while not os.path.exists(STOP):
    data = rounds.to_bytes(8, 'big') * (BLOCK // 8)
    at = (rounds * 7 % blocks) * BLOCK
    client.pwrite(data, at)
    client.flush()
    if client.pread(BLOCK, at) != data:
        sys.exit(f'round {rounds}: other data at {at}')
    rounds += 1
    with open(WRITES, 'w', encoding='ascii') as writes:
        writes.write(str(rounds))
client.shutdown()
