# SPDX-License-Identifier: BSD-2-Clause
"""VHD images to measure on: full of data, fresh, and chains whose data lie in all layers."""

import os
import random
import subprocess

from blktapbench import process
from blktapbench.process import Failure

FRESH_BYTES = 64 << 30
CHUNK = 64 << 10
SEED = 1


def run(*command, **more):
    try:
        subprocess.run(command, stdin=None if "input" in more else subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, **more)
    except FileNotFoundError:
        raise Failure("%s is not installed" % command[0])
    except subprocess.CalledProcessError as error:
        raise Failure("%s: %s" % (command[0], error.stderr.decode(errors="replace").strip()))


def create_full(path, size, tree):
    """A dynamic image, every block of which is allocated and random."""
    raw = path + ".raw"
    with open(raw, "wb") as image:
        data = os.urandom(4 << 20)
        for start in range(0, size, len(data)):
            image.write(data[:size - start])
    run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size=on",
        raw, path)
    os.unlink(raw)


def create_fresh(path, size, tree):
    """A dynamic image without a block."""
    run("qemu-img", "create", "-f", "vpc", "-o", "force_size=on", path, str(FRESH_BYTES))


def fill_layer(path, chunks, server):
    """Write the chunks through tapdisk2."""
    with process.scratch() as directory:
        running = server(path, directory)
        commands = ["write -q -P %d %d %d" % (1 + chunk % 255, chunk * CHUNK, CHUNK)
                    for chunk in sorted(chunks)]
        try:
            run("qemu-io", "-f", "raw", "nbd+unix:///?socket=" + running.socket,
                input="\n".join(commands + ["flush", ""]).encode())
        finally:
            process.stop(running.process)


def chain_of(depth, server):
    """A create function: chunks of 64 KiB are dealt out to the layers at random."""
    def create(path, size, tree):
        vhd_util = tree.program("blktap2/vhd/vhd-util")
        if not vhd_util:
            raise Failure("vhd-util is not built")
        chunks = list(range(size // CHUNK))
        random.Random(SEED).shuffle(chunks)
        layers = ["%s.%d" % (path, number) for number in range(depth - 1)] + [path]
        for number, layer in enumerate(layers):
            if number:
                run(vhd_util, "snapshot", "-n", layer, "-p", layers[number - 1])
            else:
                run(vhd_util, "create", "-n", layer, "-s", str(size >> 20))
            fill_layer(layer, chunks[number::depth],
                       lambda image, directory: server(tree, image, directory))
    return create
