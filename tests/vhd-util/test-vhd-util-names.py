#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Names with blanks, many images, volumes of a group that is not active, and what an image without
a batmap keeps in the attributes of its file."""
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
WRITE = os.path.join(TOP, 'tests', 'vhd-util', 'vhd-write')
DAMAGE = os.path.join(os.path.abspath(os.environ.get('top_srcdir', '.')), 'tests', 'images',
                      'damage.py')
EXTENT = 4 << 20


class Skip(Exception):
    """What is to be tested cannot be here."""


def util(*args, status=0, **variables):
    done = subprocess.run([UTIL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **variables})
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode()


def damage(*args):
    subprocess.run([sys.executable, DAMAGE, *args], check=True)


def names_may_have_blanks():
    os.mkdir('a folder')
    base, leaf = 'a folder/base of all.vhd', ' the leaf.vhd'
    util('create', '-n', base, '-s', '2')
    util('snapshot', '-n', leaf, '-p', base, '-e')
    where = os.path.realpath(base)
    assert util('query', '-n', leaf, '-p') == where + '\n'
    assert util('query', '-n', base, '-p') == base + ' has no parent\n'
    assert util('check', '-p', '-n', leaf) == leaf + ' is valid\n'
    size = os.path.getsize(leaf)
    assert util('scan', '-v', leaf) == (
        'vhd=%s capacity=2097152 size=%d hidden=0 parent=%s\n' % (os.path.realpath(leaf), size,
                                                                  where))
    assert util('scan', '-m', '*folder/*of all.vhd').startswith('vhd=base of all.vhd capacity=')
    subprocess.run([WRITE, leaf, '7', '2', '76'], check=True)
    assert util('coalesce', '-n', leaf) == 'Coalesced 2 sectors'
    assert util('read', '-n', base, '-r', '7', '-c', '2') == 1024 * 'L'
    shutil.move(base, 'moved away.vhd')
    util('modify', '-n', leaf, '-p', 'moved away.vhd')
    assert util('query', '-n', leaf, '-p') == os.path.realpath('moved away.vhd') + '\n'


def names_from_images_look_like_nothing_else():
    os.mkdir('x')
    util('create', '-n', 'x/a\nhidden: 9', '-s', '2')
    util('snapshot', '-n', 'leaf', '-p', 'x/a\nhidden: 9', '-e')
    for option in 'p', 'u':
        lines = util('query', '-n', 'leaf', '-f', '-' + option).splitlines()
        assert len(lines) == 2 and lines[0].endswith('/x/a?hidden: 9'), lines
        assert lines[1] == 'hidden: 0', lines


def a_thousand_images_are_scanned():
    util('create', '-n', 'image-000.vhd', '-s', '2')
    for i in range(1, 1000):
        shutil.copyfile('image-000.vhd', 'image-%03d.vhd' % i)
    damage('image-007.vhd', 'both', '0', '58')
    damage('image-500.vhd', 'header', '0', '58')
    os.truncate('image-999.vhd', 100)
    good = 'capacity=2097152 size=3584 hidden=0 parent=none'
    for fast in [], ['-f']:
        lines = util('scan', *fast, '-c', '-m', 'image-*.vhd').splitlines()
        assert len(lines) == 1000, len(lines)
        for i, line in enumerate(lines):
            name = 'image-%03d.vhd' % i
            if i in (7, 500, 999):
                wrong = r"vhd=%s scan-error=-22 error-message='[^=']+'"
                assert re.fullmatch(wrong % re.escape(os.path.realpath(name)), line), line
            else:
                assert line == 'vhd=%s %s' % (name, good), line
        util('scan', *fast, '-m', 'image-*.vhd', status=22)


def fake(tool, *lines):
    with open(os.path.join('bin', tool), 'w') as script:
        script.write("#!/bin/sh\ncat <<'END'\n%s\nEND\n" % '\n'.join(lines))
    os.chmod(os.path.join('bin', tool), 0o755)


def volumes_need_not_be_active():
    """What LVM says is made up: the group is in a file, which has the images in its extents."""
    device, start = os.path.realpath('device'), 1 << 20
    util('create', '-n', 'VHD-base', '-s', '2')
    util('snapshot', '-n', 'VHD-leaf', '-p', 'VHD-base', '-e')
    util('set', '-n', 'VHD-leaf', '-f', 'hidden', '-v', '1')
    util('set', '-n', 'VHD-leaf', '-f', 'marker', '-v', '9')
    with open(device, 'wb') as disk:
        for name, extent in (('VHD-base', 5), ('VHD-leaf', 2)):
            disk.seek(start + extent * EXTENT)
            with open(name, 'rb') as image:
                disk.write(image.read())
        disk.truncate(start + 10 * EXTENT)
    os.mkdir('bin')
    fake('vgs', 'vg %d 4 1 %s %d' % (EXTENT, device, start))
    segment = '%s %d linear 1 0 %d ' + device + '(%d)'
    fake('lvs', *(segment % (name, EXTENT, EXTENT, extent) for name, extent in
                  (('VHD-base', 5), ('VHD-leaf', 2), ('VHD-empty', 8), ('other', 5))))
    path = 'bin:' + os.environ['PATH']
    base = 'vhd=VHD-base capacity=2097152 size=%d hidden=0 parent=none\n' % EXTENT
    leaf = 'vhd=VHD-leaf capacity=2097152 size=%d hidden=1 parent=VHD-base\n' % EXTENT

    def scan(*args, status=0):
        return util('scan', '-l', 'vg', *args, status=status, PATH=path)

    for fast in [], ['-f']:
        assert scan(*fast, '-m', 'VHD-{base,leaf}') == base + leaf
        assert scan(*fast, '-a', '-m', '*leaf') == leaf + base
        assert scan(*fast, 'VHD-base') == base
        assert ' hidden=1 marker=9 keyhash= parent=' in scan(*fast, '-M', 'VHD-leaf')
        lines = scan(*fast, '-c', '-m', 'VHD-*').splitlines(True)
        assert lines[:2] == [base, leaf] and len(lines) == 3, lines
        assert lines[2].startswith("vhd=/dev/vg/VHD-empty scan-error=-22 error-message='"), lines
        scan(*fast, '-m', 'VHD-*', status=22)
    assert scan('-v', 'VHD-base').startswith('vhd=/dev/vg/VHD-base capacity=')
    scan('absent', status=2)
    os.unlink('bin/lvs')
    with open('bin/lvs', 'w') as script:
        script.write('#!/bin/sh\nexit 5\n')
    os.chmod('bin/lvs', 0o755)
    assert scan('-m', 'VHD-*', status=5) == ''


def attributes_stand_in_for_a_batmap():
    try:
        open('probe', 'w').close()
        os.setxattr('probe', 'user.probe', b'1')
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            raise Skip('no attributes in this file system')
        raise
    nonce, digest = '11' * 32, '2f' * 32
    util('create', '-n', 'dynamic', '-s', '2')
    # Others make images that have no batmap.
    damage('dynamic', 'both', '28', '717569740001', 'sum')
    util('create', '-n', 'fixed', '-r', '-s', '2')
    for name in 'dynamic', 'fixed':
        assert 'Batmap' not in util('read', '-p', '-n', name)
        before = util('query', '-n', name, '-m'), util('key', '-p', '-n', name)
        assert before == ('marker: 0\n', 'none\n'), before
        with open(name, 'rb') as image:
            before = image.read()
        util('set', '-n', name, '-f', 'marker', '-v', '200')
        util('key', '-s', '-n', name, '-H', digest, '-N', nonce)
        with open(name, 'rb') as image:
            assert image.read() == before, name
        assert util('query', '-n', name, '-m') == 'marker: 200\n'
        assert util('key', '-p', '-n', name) == '%s %s\n' % (nonce, digest)
        assert ' marker=200 keyhash=%s ' % digest in util('scan', '-M', name)
        assert util('check', '-n', name) == name + ' is valid\n'


TESTS = [names_may_have_blanks, names_from_images_look_like_nothing_else,
         a_thousand_images_are_scanned, volumes_need_not_be_active,
         attributes_stand_in_for_a_batmap]


def main():
    print('1..%d' % len(TESTS))
    for number, test in enumerate(TESTS, 1):
        skipped = ''
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                test()
            except Skip as why:
                skipped = ' # SKIP %s' % why
            os.chdir('/')
        print('ok %d - %s%s' % (number, test.__name__, skipped), flush=True)


main()
