# SPDX-License-Identifier: BSD-2-Clause
"""inflate-kernel.py BZIMAGE ELF: take the kernel proper out of a bzImage."""

import lzma
import struct
import subprocess
import sys
import zlib


def payload(image: bytes) -> bytes:
    """The compressed kernel: the boot protocol says where, from version 2.08 on."""
    if image[0x202:0x206] != b"HdrS":
        raise SystemExit("inflate-kernel: not a kernel image")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    return image[begin : begin + length]


def inflate(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        return zlib.decompressobj(wbits=31).decompress(data)
    if data[:6] == b"\xfd7zXZ\x00":
        return lzma.LZMADecompressor().decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        # The size of the kernel follows the frame: zstd takes it for garbage, after its work.
        run = subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=False)
        return run.stdout
    raise SystemExit("inflate-kernel: unknown compression")


def main() -> None:
    with open(sys.argv[1], "rb") as source:
        kernel = inflate(payload(source.read()))
    if kernel[:4] != b"\x7fELF":
        raise SystemExit("inflate-kernel: there is no ELF image in " + sys.argv[1])
    with open(sys.argv[2], "wb") as target:
        target.write(kernel)


main()
