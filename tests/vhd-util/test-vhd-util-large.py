#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The largest image there can be: with all of its million blocks it is checked in 256 MiB of
memory, and a chain of such images that holds little is copied without a look at what is not
there."""
import array
import os
import resource
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
WRITE = os.path.join(TOP, 'tests', 'vhd-util', 'vhd-write')
BLOCKS = 2040 << 9
BLOCK_SECTORS = 4096 + 8  # bitmap, data, and what aligns the next one
MEMORY = 256 << 20


def util(*args, status=0, limit=False):
    def bound():
        if limit and not os.environ.get('SANITIZERS'):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run([UTIL, *args], stdout=subprocess.PIPE, preexec_fn=bound)
    assert done.returncode == status, (args, done.returncode, done.stdout[:500])
    return done.stdout.decode()


def fill_table(path, order):
    """Entries for all blocks, in that order in the file; the bitmaps are holes."""
    with open(path, 'r+b') as image:
        footer = image.read(512)
        first = (os.path.getsize(path) // 512 + 8) // 8 * 8 + 7
        entries = array.array('I', (first + BLOCK_SECTORS * i for i in order))
        if sys.byteorder == 'little':
            entries.byteswap()
        image.seek(1536)
        image.write(entries.tobytes())
        end = (first + BLOCK_SECTORS * BLOCKS) * 512
        image.truncate(end)
        image.seek(end)
        image.write(footer)


def a_sparse_file_is_copied():
    """The same of a raw parent, whose last sector is a part of one, and of a fixed image."""
    last = BLOCKS * 4096 - 1
    with open('raw', 'wb') as raw:
        raw.truncate(last * 512)
        for at, data in ((4999, b'xyz'), (1 << 40, b'd' * 600), (last * 512, b'end')):
            raw.seek(at)
            raw.write(data)
    util('snapshot', '-n', 'on-raw.vhd', '-p', 'raw', '-m')
    util('create', '-n', 'fixed.vhd', '-r', '-s', str(512 << 10))
    subprocess.run([WRITE, 'fixed.vhd', '9', '2', '65', '9000', '1', '66'], check=True)
    for name, places in (('on-raw.vhd', (9, (1 << 40) // 512, last - 1)), ('fixed.vhd', (9, 8999))):
        util('copy', '-n', name, '-N', 'copy-of-' + name)
        for sector in places:
            args = ('-r', str(sector), '-c', '2')
            want = util('read', '-n', name, *args)
            assert want.strip('\0') and util('read', '-n', 'copy-of-' + name, *args) == want, sector


def a_sparse_chain_is_copied():
    """Reading all of it would take longer than a test may."""
    last = BLOCKS * 4096 - 1
    util('create', '-n', 'bottom.vhd', '-s', str(2040 << 10))
    subprocess.run([WRITE, 'bottom.vhd', '9', '2', '65', '5000', '3', '66'], check=True)
    util('snapshot', '-n', 'top.vhd', '-p', 'bottom.vhd')
    subprocess.run([WRITE, 'top.vhd', '10', '1', '67', str(last), '1', '68'], check=True)
    util('copy', '-n', 'top.vhd', '-N', 'copy.vhd')
    assert util('query', '-n', 'copy.vhd', '-vda') == '%d\nchain depth: 1\n3\n' % (2040 << 10)
    for sector, sectors in ((0, 16), (4096, 8192), (last, 1)):
        args = ('-r', str(sector), '-c', str(sectors))
        assert util('read', '-n', 'copy.vhd', *args) == util('read', '-n', 'top.vhd', *args)
    assert util('read', '-n', 'copy.vhd', '-r', '9', '-c', '2') == 'A' * 512 + 'C' * 512
    assert util('check', '-p', '-n', 'copy.vhd') == 'copy.vhd is valid\n'


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        util('create', '-n', 'large.vhd', '-s', str(2040 << 10))
        try:
            with open('probe', 'wb') as probe:
                probe.truncate(1 << 41)
        except OSError:
            print('1..0 # SKIP no file can have 2 TiB here')
            return
        print('1..5')
        fill_table('large.vhd', reversed(range(BLOCKS)))
        assert util('check', '-n', 'large.vhd', limit=True) == 'large.vhd is valid\n'
        print('ok 1 - checked, backwards as the blocks may lie')
        out = util('query', '-n', 'large.vhd', '-vaS', limit=True)
        assert out == '%d\n%d\n%d\n' % (2040 << 10, BLOCKS, 2040 << 10), out
        assert util('scan', '-f', 'large.vhd').split()[1] == 'capacity=%d' % (2040 << 30)
        print('ok 2 - queried and scanned')
        with open('large.vhd', 'r+b') as image:  # the last block over the first
            image.seek(1536)
            entry = image.read(4)
            image.seek(1536 + 4 * (BLOCKS - 1))
            image.write(entry)
        out = util('check', '-n', 'large.vhd', status=22, limit=True)
        assert 'blocks 0 (0x' in out and 'and %d (0x' % (BLOCKS - 1) in out, out[:300]
        out = util('check', '-B', '-n', 'large.vhd', limit=True)
        assert out == 'large.vhd is valid\n', out[:300]
        print('ok 3 - two blocks in one place are found')
        a_sparse_chain_is_copied()
        print('ok 4 - a chain that holds little is copied')
        a_sparse_file_is_copied()
        print('ok 5 - and so is a file of holes')


main()
