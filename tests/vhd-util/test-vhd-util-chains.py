#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Chains of images against a model in memory, with merges that are killed and begun again.

SEED repeats a run, STEPS makes it longer.
"""
import os
import random
import re
import signal
import subprocess
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
WRITE = os.path.join(TOP, 'tests', 'vhd-util', 'vhd-write')
SEED = int(os.environ.get('SEED') or random.randrange(1 << 32))
STEPS = int(os.environ.get('STEPS') or 30)
SIZE_MB, MOST_MB = 8, 32
DEEPEST = 8
rng = random.Random(SEED)


def util(*args, status=0):
    done = subprocess.run([UTIL, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == status, (args, done.returncode, done.stdout)
    return done.stdout


class Chain:
    """Images from the bottom up, each with what its disk must read as."""

    def __init__(self, raw):
        self.made = 0
        self.raw = raw
        self.size = SIZE_MB << 20
        first = self.name()
        if raw:
            with open('bottom', 'wb') as bottom:
                bottom.write(os.urandom(4096) * (self.size // 4096))
            util('snapshot', '-n', first, '-p', 'bottom', '-m', '-S', str(MOST_MB))
            with open('bottom', 'rb') as bottom:
                self.disks = [bytearray(bottom.read())]
        else:
            util('create', '-n', first, '-s', str(SIZE_MB), '-S', str(MOST_MB))
            self.disks = [bytearray(self.size)]
        self.images = [first]

    def name(self):
        self.made += 1
        return 'image-%d-%d.vhd' % (self.raw, self.made)

    def write(self):
        args, disk = [], self.disks[-1]
        for _ in range(rng.randrange(1, 6)):
            sectors = rng.choice([1, 7, 8, 64, 300, 4096])
            sector = rng.randrange(len(disk) // 512 - sectors + 1)
            byte = rng.randrange(256)
            args += [str(sector), str(sectors), str(byte)]
            disk[sector * 512:(sector + sectors) * 512] = bytes([byte]) * (sectors * 512)
        subprocess.run([WRITE, self.images[-1], *args], check=True)

    def snapshot(self):
        if len(self.images) == DEEPEST:
            return
        name = self.name()
        extra = rng.choice([[], ['-e']])
        util('snapshot', '-n', name, '-p', self.images[-1], '-S', str(MOST_MB), *extra)
        self.images.append(name)
        self.disks.append(bytearray(self.disks[-1]))
        # A parent that holds nothing is no part of the chain.
        linked = util('query', '-n', name, '-p').decode().strip()
        while len(self.images) > 1 and os.path.basename(linked) != self.images[-2]:
            assert util('query', '-n', self.images[-2], '-a') == b'0\n'
            del self.images[-2], self.disks[-2]

    def resize(self):
        size = rng.randrange(len(self.disks[-1]) >> 20, MOST_MB + 1)
        util('resize', '-n', self.images[-1], '-s', str(size), '-f')
        size = (size + 1) // 2 * 2 << 20
        self.disks[-1] += bytes(size - len(self.disks[-1]))

    def coalesce(self):
        """Merge an image in the middle, or the top one, and take it out of the chain."""
        if len(self.images) < 2:
            return
        at = rng.randrange(1, len(self.images))
        child, parent = self.images[at], self.images[at - 1]
        if len(self.disks[at]) > len(self.disks[at - 1]):
            size = str(len(self.disks[at]) >> 20)
            assert b'parent is smaller' in util('coalesce', '-n', child, status=22)
            util('resize', '-n', parent, '-s', size, '-f')
        self.merge_with_interruptions(child)
        if at + 1 < len(self.images):
            util('modify', '-n', self.images[at + 1], '-p', parent)
        os.unlink(child)
        del self.images[at]
        self.disks[at - 1] = self.disks.pop(at)

    def merge_with_interruptions(self, child):
        for _ in range(rng.randrange(3)):
            merge = subprocess.Popen([UTIL, 'coalesce', '-n', child, *rng.choice([[], ['-s']])],
                                     stdout=subprocess.DEVNULL)
            try:
                merge.wait(rng.random() * 0.01)
            except subprocess.TimeoutExpired:
                merge.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
            merge.wait()
            self.verify(child)
            parent = util('query', '-n', child, '-p').decode().strip()
            util('check', '-i', '-n', parent)
        assert re.match(rb'^Coalesced (\d+) sectors$', util('coalesce', '-n', child))

    def verify(self, name=None):
        at = self.images.index(name) if name else len(self.images) - 1
        disk = self.disks[at]
        assert util('query', '-n', self.images[at], '-v') == b'%d\n' % (len(disk) >> 20)
        data = util('read', '-n', self.images[at], '-r', '0', '-c', str(len(disk) // 512))
        if data != disk:
            wrong = next(i for i in range(0, len(disk), 512)
                         if data[i:i + 512] != disk[i:i + 512])
            raise AssertionError('%s: sector %d is wrong' % (self.images[at], wrong // 512))

    def run(self):
        for step in range(STEPS):
            rng.choice([self.write, self.write, self.snapshot, self.snapshot, self.coalesce,
                        self.resize])()
            if step % 3 == 0:
                self.verify()
                util('check', '-p', '-n', self.images[-1])
        depth = len(self.images) + self.raw
        assert util('query', '-n', self.images[-1], '-d') == b'chain depth: %d\n' % depth
        for name in self.images:
            self.verify(name)
        util('copy', '-n', self.images[-1], '-N', 'copy.vhd')
        copied = util('read', '-n', 'copy.vhd', '-r', '0', '-c', str(len(self.disks[-1]) // 512))
        assert copied == self.disks[-1], 'the copy differs'
        os.unlink('copy.vhd')
        if self.raw:
            util('coalesce', '-n', self.images[0])
            with open('bottom', 'rb') as bottom:
                assert bottom.read().ljust(len(self.disks[0]), b'\0') == self.disks[0]


def main():
    print('# SEED=%d STEPS=%d' % (SEED, STEPS), flush=True)
    print('1..2')
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number, raw in enumerate((False, True), 1):
            Chain(raw).run()
            print('ok %d - %s' % (number, 'over a raw file' if raw else 'of images'), flush=True)
        os.chdir('/')


main()
