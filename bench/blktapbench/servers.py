# SPDX-License-Identifier: BSD-2-Clause
"""The table of image kinds, and that of the servers that are compared.

A new kind of image is one row of KINDS.  A new server is one class that says what it lacks to run
(missing), whether it knows a kind (serves), and how it is started (start); servers() lists them.
"""

import os
import shutil
import subprocess
import urllib.parse
from collections import namedtuple

from blktapbench import process, vhd
from blktapbench.process import Failure

FILL_BYTES = 4 << 20

# name; the type for tapdisk2 and the format for QEMU, None where they do not know it; whether nbdkit
# serves it as a file; create(path, size, tree): makes one; fresh: each measurement wants a new one;
# default: it is measured unless others are named.
Kind = namedtuple("Kind", "name tapdisk qemu nbdkit create fresh default")
Kind.__new__.__defaults__ = (False, False)


def create_raw(path, size, tree):
    """A raw image of random data: no holes, nothing that could be left out."""
    data = os.urandom(FILL_BYTES)
    with open(path, "wb") as image:
        for start in range(0, size, FILL_BYTES):
            image.write(data[:size - start])


def serve_vhd(tree, image, directory):
    """An image in the making, by our own server."""
    return Tapdisk(tree).start(Kind("vhd", "vhd", None, False, None), image, directory, None)


KINDS = [
    Kind("raw", "aio", "raw", True, create_raw, default=True),
    Kind("vhd", "vhd", "vpc", False, vhd.create_full),
    Kind("vhd-fresh", "vhd", "vpc", False, vhd.create_fresh, fresh=True),
    Kind("vhd-1", "vhd", None, False, vhd.chain_of(1, serve_vhd)),
    Kind("vhd-10", "vhd", None, False, vhd.chain_of(10, serve_vhd)),
    Kind("vhd-30", "vhd", None, False, vhd.chain_of(30, serve_vhd)),
]

# A server that runs: its process, and the Unix socket of its export.
Running = namedtuple("Running", "process socket")


class Tapdisk:
    """tapdisk2 of this tree, on the I/O engine of its choice or a given one."""

    ours = True

    def __init__(self, tree, engine=None):
        self.name = "tapdisk2 (%s)" % engine if engine else "tapdisk2"
        self.tree = tree
        self.engine = engine

    def missing(self):
        return None if self.tree.tapdisk2 else "is not built in %s" % self.tree.build

    def serves(self, kind):
        return kind.tapdisk is not None

    def start(self, kind, image, directory, cpu):
        environment = dict(os.environ, BLKTAP_CONTROL_DIR=directory)
        if self.engine:
            environment["TAPDISK_AIO"] = self.engine
        log = os.path.join(directory, "log")
        child = process.start([self.tree.tapdisk2, "-D", "-N", "-n",
                               "%s:%s" % (kind.tapdisk, image)],
                              cpu, log, stdout=subprocess.PIPE, env=environment)
        try:
            uri = process.read_line(child, log)
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)
            if "socket" not in query:
                raise Failure("prints no URI of a Unix socket: %s" % uri)
        except BaseException:
            process.stop(child)
            raise
        return Running(child, query["socket"][0])


class Peer:
    """A server that is told where to listen."""

    ours = False

    def missing(self):
        return None if shutil.which(self.name) else "is not installed"

    def start(self, kind, image, directory, cpu):
        path = os.path.join(directory, "socket")
        log = os.path.join(directory, "log")
        child = process.start(self.command(kind, image, path), cpu, log)
        try:
            process.wait_for_socket(child, path, log)
        except BaseException:
            process.stop(child)
            raise
        return Running(child, path)


class QemuNbd(Peer):
    name = "qemu-nbd"

    def serves(self, kind):
        return kind.qemu is not None

    def command(self, kind, image, path):
        return [self.name, "--persistent", "--shared=8", "--socket=" + path, "--aio=io_uring",
                "--cache=none", "--format=" + kind.qemu, image]


class Nbdkit(Peer):
    name = "nbdkit"

    def serves(self, kind):
        return kind.nbdkit

    def command(self, kind, image, path):
        return [self.name, "--foreground", "--exit-with-parent", "--unix", path, "file", image]


def servers(tree, engines):
    """All servers, ours first; ours once per engine when engines are given."""
    ours = [Tapdisk(tree, engine) for engine in engines] or [Tapdisk(tree)]
    return ours + [QemuNbd(), Nbdkit()]
