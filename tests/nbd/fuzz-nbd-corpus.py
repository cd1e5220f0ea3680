#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the seeds of fuzz-nbd-stream into a directory: one well-formed stream for each way to talk."""
import os
import struct
import sys

sys.dont_write_bytecode = True
from nbdraw import *  # noqa: E402


def flags():
    return struct.pack('>I', 3)


def option(number, data=b''):
    return struct.pack('>QII', IHAVEOPT, number, len(data)) + data


def request(command, offset=0, length=0, data=b'', bits=0, extended=False):
    if extended:
        bits |= PAYLOAD_LEN if command == WRITE else 0
        return struct.pack('>IHHQQQ', EXT_REQUEST, bits, command, 1, offset, length) + data
    return struct.pack('>IHHQQI', REQUEST, bits, command, 1, offset, length) + data


def commands(extended=False):
    rows = ((READ, 512, 1024), (READ, 1, 5), (WRITE, 0, 512, b'w' * 512), (WRITE, 3, 9, b'u' * 9),
            (WRITE, 8192, 20000, b'l' * 20000), (FLUSH,), (TRIM, 512, 2000), (CACHE, 0, 512),
            (WRITE_ZEROES, 100, 5000), (BLOCK_STATUS, 0, 131072), (WRITE, 1 << 40, 3, b'out'),
            (READ, 0, 0), (77, 1, 1), (DISC,))
    return b''.join(request(*row, extended=extended) for row in rows)


GO_DATA = Client.info_data(b'', (0, 3))
SEEDS = {
    'export-name': flags() + option(EXPORT_NAME, b'name') + commands(),
    'go': flags() + option(INFO, GO_DATA) + option(GO, GO_DATA) + commands(),
    'structured': flags() + option(STRUCTURED_REPLY) + option(LIST_META, Client.meta_data()) +
                  option(SET_META, Client.meta_data()) + option(GO, GO_DATA) + commands(),
    'extended': flags() + option(EXTENDED_HEADERS) + option(SET_META, Client.meta_data()) +
                option(GO, GO_DATA) + commands(True),
    'options': flags() + option(LIST) + option(STARTTLS) + option(99, b'data') +
               option(LIST, bytes(70000)) + option(ABORT),
    'oldstyle': commands() + commands(),
}


def main(directory):
    os.makedirs(directory, exist_ok=True)
    for name, stream in SEEDS.items():
        for choice in (0, 1 + 2, 4, 4 + 16, 8, 32, 4 + 64, 128):
            if (name == 'oldstyle') != bool(choice & 1):
                continue
            for pieces in 5, 255:
                path = os.path.join(directory, '%s-%02x-%d' % (name, choice, pieces))
                with open(path, 'wb') as seed_file:
                    seed_file.write(bytes((choice, pieces)) + stream)


main(sys.argv[1])
