# SPDX-License-Identifier: BSD-2-Clause
"""Write, flush, read back and compare on one connection, until the file STOP appears; then compare
the whole disk with all that was written to it.

    client.py URI WRITES STOP EXPECTED

After each round the number of rounds is written to the file WRITES; at the end EXPECTED holds what
the disk is to hold.
"""

import os
import sys

import nbd

URI, WRITES, STOP, EXPECTED = sys.argv[1:]
BLOCK = 65536

client = nbd.NBD()
client.connect_uri(URI)
disk = bytearray(client.get_size())
blocks = len(disk) // BLOCK
rounds = 0
while not os.path.exists(STOP):
    data = (rounds + 1).to_bytes(8, 'big') * (BLOCK // 8)
    at = rounds * 7 % blocks * BLOCK
    client.pwrite(data, at)
    client.flush()
    disk[at:at + BLOCK] = data
    if client.pread(BLOCK, at) != data:
        sys.exit(f'round {rounds}: other data at {at}')
    rounds += 1
    with open(WRITES, 'w', encoding='ascii') as writes:
        writes.write(str(rounds))
for at in range(0, len(disk), BLOCK):
    if client.pread(BLOCK, at) != disk[at:at + BLOCK]:
        sys.exit(f'at the end: other data at {at}')
client.shutdown()
with open(EXPECTED, 'wb') as expected:
    expected.write(disk)
