# SPDX-License-Identifier: BSD-2-Clause
"""The table of loads, and what we promise for some of them.

A new load is one row of CASES; a promise is one row of TARGETS.
"""

import fnmatch
from collections import namedtuple

# name: as on the command line; title: for people; arguments: of nbd-load; latency: of which requests,
# "read", "write", "flush" or None for all.
# fresh: only for kinds of images that are made anew for each measurement.
Case = namedtuple("Case", "name title arguments latency fresh")
Case.__new__.__defaults__ = (None, False)

CASES = [
    Case("randread-4k-d1", "4 KiB random read, depth 1", "--op read --depth 1"),
    Case("randread-4k-d32", "4 KiB random read, depth 32", "--op read --depth 32"),
    Case("randwrite-4k-d1", "4 KiB random write, depth 1", "--op write --depth 1"),
    Case("randwrite-4k-d32", "4 KiB random write, depth 32", "--op write --depth 32"),
    Case("seqread-128k-d16", "128 KiB sequential read, depth 16",
         "--op read --sequential --block-size 128K --depth 16"),
    Case("seqwrite-128k-d16", "128 KiB sequential write, depth 16",
         "--op write --sequential --block-size 128K --depth 16"),
    Case("mixed-4k-d32", "4 KiB random, 70 % reads, depth 32",
         "--op mixed --read-percent 70 --depth 32"),
    Case("flush-4k-d1", "flush after each 4 KiB random write, latency of the flush",
         "--op write --flush-every 1 --depth 1", "flush"),
    Case("firstwrite-4k-d32", "first writes of 4 KiB, random, depth 32, a flush after 500",
         "--op write --depth 32 --flush-every 500 --requests 8000", None, True),
]

# The median of `metric` of ours is to be at most (or at least) `factor` times that of the peer;
# the peer "best" is whichever does best.
Target = namedtuple("Target", "kind location case metric peer relation factor")

TARGETS = [
    Target("raw", "tmpfs", "randread-4k-d32", "cpu", "qemu-nbd", "at most", 0.5),
    Target("raw", "tmpfs", "randread-4k-d32", "cpu", "nbdkit", "at most", 0.6),
    Target("raw", "tmpfs", "randread-4k-d32", "iops", "best", "at least", 1.5),
    Target("raw", "tmpfs", "randwrite-4k-d32", "cpu", "qemu-nbd", "at most", 0.5),
    Target("raw", "tmpfs", "randread-4k-d1", "p50", "best", "at most", 1.0),
    Target("raw", "tmpfs", "randwrite-4k-d1", "p50", "best", "at most", 1.0),
    Target("raw", "tmpfs", "seqread-128k-d16", "mib", "best", "at least", 1.0),
    Target("raw", "tmpfs", "seqwrite-128k-d16", "mib", "best", "at least", 1.0),
    Target("vhd", "tmpfs", "randread-4k-d32", "cpu", "qemu-nbd", "at most", 0.5),
    Target("vhd-fresh", "tmpfs", "firstwrite-4k-d32", "iops", "qemu-nbd", "at least", 3.0),
]


def select(patterns):
    """The cases whose names match one of the comma-separated patterns, in the table's order."""
    chosen = []
    for pattern in patterns.split(","):
        found = [case for case in CASES if fnmatch.fnmatchcase(case.name, pattern)]
        if not found:
            raise ValueError("no case is called %s" % pattern)
        chosen += found
    return [case for case in CASES if case in chosen]
