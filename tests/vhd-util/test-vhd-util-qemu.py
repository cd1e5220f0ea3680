#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Images that libvhd and QEMU make, write and read in turn, byte for byte, in all sizes that have a
geometry of their own.

SEED repeats a run, STEPS makes it longer.
"""
import itertools
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
WRITE = os.path.join(TOP, 'tests', 'vhd-util', 'vhd-write')
SEED = int(os.environ.get('SEED') or random.randrange(1 << 32))
STEPS = int(os.environ.get('STEPS') or 2)
MIB = 1 << 20
UNUSED = 0xFFFFFFFF
rng = random.Random(SEED)

# Size in MiB, and the geometry that the format gives it.
SIZES = {2: (60, 4, 17), 10: (301, 4, 17), 100: (1003, 12, 17), 512: (1040, 16, 63),
         5 << 10: (10402, 16, 63), 127 << 10: (65278, 16, 255), 2040 << 10: (65535, 16, 255)}
READ_WHOLE = 10 * MIB     # up to here every byte is compared
FIXED_MOST = 100          # MiB of a disk that is in its file from the start
COMPARE_MOST = 512 * MIB  # up to here qemu-img looks at all of a disk


def run(*args, status=0):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == status, (args, done.returncode, done.stdout[-500:], done.stderr)
    return done.stdout


def footer(name):
    """Creator, current size, geometry and type, by the trailing footer."""
    with open(name, 'rb') as image:
        image.seek(-512, os.SEEK_END)
        raw = image.read(512)
    assert raw[:8] == b'conectix'
    return raw[28:32], *struct.unpack('>Q', raw[48:56]), raw[56:60], *struct.unpack('>I', raw[60:64])


def geometry(cylinders, heads, sectors):
    return struct.pack('>HBB', cylinders, heads, sectors)


def size_by_qemu(name):
    return json.loads(run('qemu-img', 'info', '--output=json', '-f', 'vpc', name))['virtual-size']


# ---- one image, and a raw file that holds what it must read as ------------------------------------------

class Twins:
    def __init__(self, image):
        self.image, self.ranges = image, []
        self.size = size_by_qemu(image)
        self.model = image + '.raw'
        with open(self.model, 'wb') as model:
            model.truncate(self.size)

    def write(self, tool):
        sectors = self.size // 512
        middle, length = rng.randrange(sectors), rng.randrange(1, 300)
        starts = [0, middle, 4096 - length // 2, sectors - length]
        pieces = [(min(start, sectors - length), length, rng.randrange(1, 256))
                  for start in starts if start >= 0]
        with open(self.model, 'r+b') as model:
            for start, count, byte in pieces:
                model.seek(start * 512)
                model.write(bytes([byte]) * (count * 512))
        self.ranges += pieces
        tool(self.image, pieces)

    def expected(self, start, count):
        with open(self.model, 'rb') as model:
            model.seek(start * 512)
            return model.read(count * 512)

    def places(self):
        """What to look at: all of it, or what was written with what is around it."""
        sectors = self.size // 512
        if self.size <= READ_WHOLE:
            return [(0, sectors)]
        edges = [(max(start - 9, 0), min(start + count + 9, sectors))
                 for start, count, _ in self.ranges]
        return [(start, end - start) for start, end in edges]

    def check(self):
        for start, count in self.places():
            expected = self.expected(start, count)
            ours = run(UTIL, 'read', '-n', self.image, '-r', str(start), '-c', str(count))
            assert ours == expected, (self.image, 'read by libvhd', start, count)
        if self.size <= COMPARE_MOST:
            run('qemu-img', 'compare', '-q', '-f', 'raw', '-F', 'vpc', self.model, self.image)
        else:
            self.check_by_qemu()
        # Both think that the disk ends at the same place.
        run(UTIL, 'read', '-n', self.image, '-r', str(self.size // 512), status=22)

    def check_by_qemu(self):
        commands = []
        for start, count in self.places():
            # A sector is full of one byte.
            for byte, sectors in itertools.groupby(self.expected(start, count)[::512]):
                run_of = len(list(sectors))
                commands += ['-c', 'read -P %d %d %d' % (byte, start * 512, run_of * 512)]
                start += run_of
        run('qemu-io', '-r', '-f', 'vpc', *commands, self.image)

    def remove(self):
        os.unlink(self.image)
        os.unlink(self.model)


def write_by_libvhd(image, pieces):
    run(WRITE, image, *(str(number) for piece in pieces for number in piece))


def write_by_qemu(image, pieces):
    commands = [('-c', 'write -P %d %d %d' % (byte, start * 512, count * 512))
                for start, count, byte in pieces]
    run('qemu-io', '-f', 'vpc', *(word for command in commands for word in command), image)


# ---- makers --------------------------------------------------------------------------------------------

def made_by_libvhd(name, mbytes, subformat):
    run(UTIL, 'create', '-n', name, '-s', str(mbytes), *(['-r'] if subformat == 'fixed' else []))
    assert footer(name)[1:3] == (mbytes * MIB, geometry(*SIZES[mbytes])), mbytes


def made_by_qemu(name, mbytes, subformat):
    run('qemu-img', 'create', '-q', '-f', 'vpc', '-o', 'subformat=' + subformat, name,
        '%dM' % mbytes)
    assert footer(name)[0] == b'qemu' and size_by_qemu(name) >= mbytes * MIB


def made_by_qemu_with_that_size(name, mbytes, subformat):
    run('qemu-img', 'create', '-q', '-f', 'vpc', '-o', 'force_size=on,subformat=' + subformat, name,
        '%dM' % mbytes)
    assert footer(name)[0] == b'qem2' and size_by_qemu(name) == mbytes * MIB


def all_sizes_in_turn():
    makers = made_by_libvhd, made_by_qemu, made_by_qemu_with_that_size
    tools = write_by_libvhd, write_by_qemu
    for mbytes in SIZES:
        for subformat in ('dynamic', 'fixed') if mbytes <= FIXED_MOST else ('dynamic',):
            for maker in makers:
                name = '%s-%d-%s.vhd' % (subformat, mbytes, maker.__name__)
                maker(name, mbytes, subformat)
                twins = Twins(name)
                # The first block that QEMU allocates goes over the batmap, and takes the old footer
                # behind it for data (vhd.md 12.2, 12.3): another has to write there before.
                first = 0 if maker is made_by_libvhd else rng.randrange(2)
                for step in range(STEPS):
                    twins.write(tools[(first + step) % 2])
                twins.check()
                twins.remove()


# ---- what QEMU makes -----------------------------------------------------------------------------------

def header_of(name):
    """Entries of the BAT, and the BAT."""
    with open(name, 'rb') as image:
        raw = image.read(1536)
        entries = struct.unpack('>I', raw[512 + 28:512 + 32])[0]
        image.seek(struct.unpack('>Q', raw[512 + 16:512 + 24])[0])
        return entries, struct.unpack('>%dI' % entries, image.read(4 * entries))


def its_images_are_as_the_format_says():
    run('qemu-img', 'create', '-q', '-f', 'vpc', 'default.vhd', '5G')
    assert footer('default.vhd') == (b'qemu', 5368946688, geometry(10403, 16, 63), 3)
    assert header_of('default.vhd')[0] == 2561 and os.path.getsize('default.vhd') == 12800
    run(UTIL, 'read', '-n', 'default.vhd', '-r', str(5368946688 // 512 - 1))
    run(UTIL, 'check', '-n', 'default.vhd')

    run('qemu-img', 'create', '-q', '-f', 'vpc', '-o', 'force_size=on', 'forced.vhd', '5G')
    assert footer('forced.vhd') == (b'qem2', 5 << 30, b'\xff\xff\x10\xff', 3)
    run(UTIL, 'read', '-n', 'forced.vhd', '-r', str((5 << 30) // 512 - 1))
    run(UTIL, 'read', '-n', 'forced.vhd', '-r', str((5 << 30) // 512), status=22)

    for options, size in ('', 10514944), (',force_size=on', 10486272):
        run('qemu-img', 'create', '-q', '-f', 'vpc', '-o', 'subformat=fixed' + options, 'fixed.vhd',
            '10M')
        assert os.path.getsize('fixed.vhd') == size and footer('fixed.vhd')[3] == 2
        with open('fixed.vhd', 'rb') as image:
            assert image.read(512) == bytes(512)
        run(UTIL, 'read', '-n', 'fixed.vhd', '-r', str(size // 512 - 2))
        run(UTIL, 'read', '-n', 'fixed.vhd', '-r', str(size // 512 - 1), status=22)


def its_first_block_is_read():
    run('qemu-img', 'create', '-q', '-f', 'vpc', '-o', 'force_size=on', 'block.vhd', '64M')
    run('qemu-io', '-f', 'vpc', '-c', 'write -P 0xaa 3M 4k', 'block.vhd')
    entries, bat = header_of('block.vhd')
    assert entries == 32 and bat[1] == 4 and set(bat[:1] + bat[2:]) == {UNUSED}
    assert os.path.getsize('block.vhd') == 2100224
    assert run(UTIL, 'read', '-n', 'block.vhd', '-m', '1') == b'\xff' * 512
    data = run(UTIL, 'read', '-n', 'block.vhd', '-r', '4096', '-c', '4096')
    assert data == bytes(MIB) + b'\xaa' * 4096 + bytes(MIB - 4096)


def an_odd_size_gets_a_tail_of_zeros():
    content = random.Random(SEED).randbytes(5 * MIB + 3 * 512)
    with open('odd.raw', 'wb') as raw:
        raw.write(content)
    for subformat in 'dynamic', 'fixed':
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'vpc', '-o', 'subformat=' + subformat,
            'odd.raw', 'odd.vhd')
        size = size_by_qemu('odd.vhd')
        assert size > len(content)
        data = run(UTIL, 'read', '-n', 'odd.vhd', '-r', '0', '-c', str(size // 512))
        assert data == content + bytes(size - len(content)), subformat


def a_guest_does_not_make_its_fixed_disk_dynamic():
    run(UTIL, 'create', '-n', 'inner.vhd', '-s', '4')
    run(UTIL, 'create', '-n', 'outer.vhd', '-s', '4', '-r')
    with open('inner.vhd', 'rb') as inner, open('outer.vhd', 'r+b') as outer:
        start = inner.read()[:2048]
        outer.write(start)
    assert run(UTIL, 'read', '-n', 'outer.vhd', '-r', '0', '-c', '4') == start
    assert run(UTIL, 'query', '-n', 'outer.vhd', '-v') == b'4\n'
    # Nor does it when the image is written to.
    run(WRITE, 'outer.vhd', '100', '1', '7')
    assert run(UTIL, 'read', '-n', 'outer.vhd', '-r', '0', '-c', '4') == start
    assert footer('outer.vhd')[3] == 2


def a_batmap_under_its_first_block_is_ignored():
    run(UTIL, 'create', '-n', 'over.vhd', '-s', '10')
    run('qemu-io', '-f', 'vpc', '-c', 'write -P 0xbb 0 2M', 'over.vhd')
    data = run(UTIL, 'read', '-n', 'over.vhd', '-r', '0', '-c', '8192')
    assert data == b'\xbb' * (2 * MIB) + bytes(2 * MIB)
    run(WRITE, 'over.vhd', '100', '4000', '7')
    run('qemu-io', '-f', 'vpc', '-c', 'read -P 0xbb 0 50k', '-c', 'read -P 7 50k 2000k',
        '-c', 'read -P 0 2050k 1M', 'over.vhd')


TESTS = (its_images_are_as_the_format_says, its_first_block_is_read,
         an_odd_size_gets_a_tail_of_zeros, a_guest_does_not_make_its_fixed_disk_dynamic,
         a_batmap_under_its_first_block_is_ignored, all_sizes_in_turn)


def main():
    print('# SEED=%d' % SEED)
    if not (shutil.which('qemu-img') and shutil.which('qemu-io')):
        print('1..0 # SKIP no qemu-img and qemu-io')
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print('1..%d' % len(TESTS))
        for number, test in enumerate(TESTS, 1):
            test()
            print('ok %d - %s' % (number, test.__name__), flush=True)
        os.chdir('/')


main()
