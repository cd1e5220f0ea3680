#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Parents: named anew and stopped half-way, without room for their names, and what check says of
chains that are wrong, and what each of its options lets pass."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
WRITE = os.path.join(TOP, 'tests', 'vhd-util', 'vhd-write')
DAMAGE = os.path.join(os.path.abspath(os.environ.get('top_srcdir', '.')), 'tests', 'images',
                      'damage.py')
DEEPEST = 64


def util(*args, status=0, **variables):
    done = subprocess.run([UTIL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **variables})
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode()


def damage(*args):
    subprocess.run([sys.executable, DAMAGE, *args], check=True)


def content(name):
    with open(name, 'rb') as image:
        return image.read()


def checked(*args, status=0):
    """The first line, without the name of the image."""
    return util('check', *args, status=status).splitlines()[0].split(' ', 1)[1]


def chain(*names):
    """Images from the bottom up."""
    util('create', '-n', names[0], '-s', '2')
    for parent, child in zip(names, names[1:]):
        util('snapshot', '-n', child, '-p', parent, '-e')


def a_stopped_change_leaves_a_parent():
    for name, byte in (('old', 'O'), ('new', 'N')):
        util('create', '-n', name, '-s', '2')
        subprocess.run([WRITE, name, '0', '1', str(ord(byte))], check=True)
    util('snapshot', '-n', 'original', '-p', 'old')
    for point, parent in (('BEGIN', 'old'), ('LOCATOR', 'old'), ('END', 'new')):
        hook = 'VHD_UTIL_TEST_FAIL_REPARENT_' + point
        shutil.copy('original', 'child')
        said = util('modify', '-n', 'child', '-p', 'new', status=22, **{hook: '1'})
        assert said == 'Failing at %s\n' % hook, said
        assert util('query', '-n', 'child', '-p') == os.path.realpath(parent) + '\n', point
        assert util('read', '-n', 'child', '-r', '0') == 512 * parent[0].upper(), point
        util('modify', '-n', 'child', '-p', 'new')
        assert util('read', '-n', 'child', '-r', '0') == 512 * 'N', point
        assert checked('-p', '-n', 'child') == 'is valid', point


def a_name_without_room_is_refused_before_a_write():
    folder = os.path.join(*(letter * 240 for letter in 'abc'))
    os.makedirs(folder)
    far = os.path.join(folder, 'far')
    util('create', '-n', far, '-s', '2')
    chain('near', 'leaf')
    before = content('leaf')
    util('modify', '-n', 'leaf', '-p', far, status=36)
    assert content('leaf') == before
    assert util('query', '-n', 'leaf', '-p') == os.path.realpath('near') + '\n'


def what_a_cut_parent_has_lost_is_not_written():
    """The footer of a fixed image that has lost its last sectors lies where they were."""
    util('create', '-n', 'fixed', '-s', '2', '-r')
    whole = content('fixed')
    with open('fixed', 'wb') as image:
        image.write(whole[:-4096 - 512] + whole[-512:])
    util('create', '-n', 'other', '-s', '2')
    util('snapshot', '-n', 'large', '-p', 'other', '-e')
    util('modify', '-n', 'large', '-p', 'fixed')
    subprocess.run([WRITE, 'large', '4095', '1', '88'], check=True)
    before = content('fixed')
    said = util('coalesce', '-n', 'large', status=22)
    assert 'parent is smaller' in said and 'Coalesced' not in said, said
    assert content('fixed') == before


def a_chain_that_comes_back_is_found():
    chain('a', 'b', 'c')
    before = content('a'), content('b')
    util('modify', '-n', 'b', '-p', 'c', status=40)
    util('modify', '-n', 'b', '-p', 'b', status=40)
    assert (content('a'), content('b')) == before
    os.unlink('a')
    os.link('c', 'a')
    said = checked('-p', '-I', '-n', 'c', status=22)
    assert said == 'parent: the chain comes back to %s' % os.path.realpath('a'), said
    lines = util('query', '-n', 'c', '-vd', status=40).splitlines()
    assert lines[0] == '2' and len(lines) == 2 and not lines[1].isdigit(), lines


def a_chain_that_is_too_deep_is_found():
    half = DEEPEST // 2
    lower = ['low%d' % i for i in range(half)]
    upper = ['high%d' % i for i in range(half + 1)]
    chain(*lower)
    chain(*upper)
    util('modify', '-n', upper[1], '-p', lower[-1])
    assert util('query', '-n', upper[-1], '-d') == 'chain depth: %d\n' % DEEPEST
    assert checked('-p', '-n', upper[-1]) == 'is valid'
    util('snapshot', '-n', 'beyond', '-p', upper[-1], '-e', status=40)
    assert not os.path.exists('beyond')
    util('snapshot', '-n', 'beyond', '-p', 'high0', '-e')
    util('modify', '-n', 'beyond', '-p', upper[-1])
    said = checked('-p', '-n', 'beyond', status=22)
    assert said == 'parent: the chain is deeper than %d images' % DEEPEST, said
    lines = util('query', '-n', 'beyond', '-vd', status=40).splitlines()
    assert lines[0] == '2' and len(lines) == 2 and not lines[1].isdigit(), lines


def a_parent_that_cannot_be_read_is_found():
    chain('image', 'child')
    os.unlink('image')
    os.mkdir('image')
    said = checked('-p', '-I', '-n', 'child', status=22)
    where = os.path.realpath('image')
    assert said == 'parent: %s cannot be read, error -21' % where, said


def each_option_of_check_lets_its_own_pass():
    def only(option, others, reason, name):
        for args in [], others:
            said = checked('-n', name, *args, status=22)
            assert said == reason, (option, said)
        assert checked('-n', name, option) == 'is valid', option

    util('create', '-n', 'footer', '-s', '2')
    damage('footer', 'footer', '0', '58')
    only('-i', ['-I', '-t'], 'footer: bad cookie', 'footer')
    util('create', '-n', 'future', '-s', '2')
    damage('future', 'both', '24', 'f0000000', 'sum')
    only('-t', ['-I', '-B'], 'footer: created in the future', 'future')
    chain('bottom', 'top')
    util('create', '-n', 'bottom', '-s', '2')
    only('-I', ['-i', '-t'], 'locator 0: unique id of the parent differs', 'top')


def parents_are_checked_when_that_is_wanted():
    chain('good', 'bad', 'last', 'leaf')
    damage('bad', 'bat', '0', '00000001')
    assert checked('-n', 'last') == 'is valid'
    for name in 'last', 'leaf':  # it is told the same way, however far below it is
        said = checked('-p', '-n', name, status=22)
        expected = 'parent: %s: block 0: offset 0x200 ' % os.path.realpath('bad')
        assert said.startswith(expected), said


TESTS = [a_stopped_change_leaves_a_parent, a_name_without_room_is_refused_before_a_write,
         what_a_cut_parent_has_lost_is_not_written,
         a_chain_that_comes_back_is_found, a_chain_that_is_too_deep_is_found,
         a_parent_that_cannot_be_read_is_found, each_option_of_check_lets_its_own_pass,
         parents_are_checked_when_that_is_wanted]


def main():
    print('1..%d' % len(TESTS))
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            test()
            os.chdir('/')
        print('ok %d - %s' % (number, test.__name__), flush=True)


main()
