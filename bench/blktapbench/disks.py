# SPDX-License-Identifier: BSD-2-Clause
"""Disks made and destroyed with tap-ctl, in a control directory of our own."""

import os
import re
import signal
import subprocess
import time
from collections import namedtuple

from blktapbench import process
from blktapbench.process import Failure

TIMEOUT_S = 60

Disk = namedtuple("Disk", "pid minor")


def wait_gone(pid):
    """Wait for a process that is not our child and has been told to end."""
    deadline = time.monotonic() + TIMEOUT_S
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
        time.sleep(0.005)


class Control:
    """tap-ctl of a tree on a private control directory, which is empty again when it is left."""

    def __init__(self, tree, directory, engine=None):
        self.tap_ctl = tree.tap_ctl
        self.directory = directory
        self.environment = dict(os.environ, BLKTAP_CONTROL_DIR=directory, TAPDISK2=tree.tapdisk2)
        if engine:
            self.environment["TAPDISK_AIO"] = engine

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        disks = self.list()
        for disk in disks:
            try:
                self.destroy(disk)
            except Failure:
                os.kill(disk.pid, signal.SIGKILL)
        for disk in disks:
            wait_gone(disk.pid)

    def run(self, *arguments):
        done = subprocess.run([self.tap_ctl, *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT_S)
        if done.returncode:
            raise Failure("tap-ctl %s: %s" % (" ".join(arguments),
                                              done.stderr.decode(errors="replace").strip()))
        return done.stdout.decode()

    def create(self, params):
        """Create a disk; the seconds that took."""
        started = time.monotonic()
        self.run("create", "-a", params)
        return time.monotonic() - started

    def destroy(self, disk):
        self.run("destroy", "-p", str(disk.pid), "-m", str(disk.minor))

    def list(self):
        """The disks there are, those of which a process serves."""
        found = re.findall(r"^pid=(\d+) minor=(\d+) ", self.run("list"), re.MULTILINE)
        return [Disk(int(pid), int(minor)) for pid, minor in found]

    def socket(self, disk):
        return os.path.join(self.directory, "nbd%d.%d" % disk)


def resident(pid):
    """Memory of a process in KiB: all that is resident, and what it does not share."""
    fields = {}
    with open("/proc/%d/smaps_rollup" % pid) as rollup:
        for line in rollup.readlines()[1:]:
            name, value = line.split()[:2]
            fields[name.rstrip(":")] = int(value)
    return fields["Rss"], fields["Private_Clean"] + fields["Private_Dirty"]


def read_some(tree, path, scratch):
    """A few reads from a disk, checked by the load generator."""
    log = os.path.join(scratch, "nbd-load.log")
    child = process.start([tree.nbd_load, "--requests", "8", "--depth", "4", path], log=log,
                          stdout=subprocess.DEVNULL)
    try:
        if child.wait(TIMEOUT_S):
            raise Failure(process.last_line(log))
    finally:
        process.stop(child)
