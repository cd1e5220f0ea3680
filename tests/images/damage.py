#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Put bytes into an image, and make checksums right again.

    damage.py IMAGE WHERE OFFSET HEX [sum]

WHERE is footer, copy, both, header, bat, batmap, map, locator0 (its data) or file; OFFSET counts
bytes from there.  With "sum" the checksum of the structure is computed anew.
"""
import os
import struct
import sys


def byte_sum(data):
    return ~sum(data) & 0xFFFFFFFF


def main():
    path, where, offset, value = sys.argv[1:5]
    with open(path, 'r+b') as image:
        size = os.fstat(image.fileno()).st_size
        image.seek(0)
        head = image.read(2048)
        header = struct.unpack('>Q', head[16:24])[0]
        table, = struct.unpack('>Q', head[528:536])
        entries, = struct.unpack('>I', head[540:544])
        batmap = table + (entries * 4 + 511) // 512 * 512
        locator, = struct.unpack('>Q', head[512 + 576 + 16:512 + 576 + 24])
        places = {
            'footer': (size - 512, 512, 64), 'copy': (0, 512, 64), 'header': (header, 1024, 36),
            'bat': (table, entries * 4, None), 'batmap': (batmap, 512, None),
            'map': (batmap + 512, 512, None), 'locator0': (locator, 512, None),
            'file': (0, size, None),
        }
        for name in ['copy', 'footer'] if where == 'both' else [where]:
            at, length, summed = places[name]
            image.seek(at)
            data = bytearray(image.read(length))
            patch = bytes.fromhex(value)
            data[int(offset, 0):int(offset, 0) + len(patch)] = patch
            if 'sum' in sys.argv[5:] and summed is not None:
                data[summed:summed + 4] = bytes(4)
                data[summed:summed + 4] = struct.pack('>I', byte_sum(data))
            image.seek(at)
            image.write(data)
            if 'sum' in sys.argv[5:] and name == 'map':
                image.seek(batmap + 24)
                image.write(struct.pack('>I', byte_sum(data)))


main()
