#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What programs read of query, read, scan and coalesce: by the rules of the callers."""
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get('top_builddir', 'build'))
UTIL = os.path.join(TOP, 'blktap2', 'vhd', 'vhd-util')
DAMAGE = os.path.join(os.path.abspath(os.environ.get('top_srcdir', '.')), 'tests', 'images',
                      'damage.py')
LETTERS = 'vspfmdaS'


def util(*args, status=0):
    done = subprocess.run([UTIL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode()


def damage(*args):
    subprocess.run([sys.executable, DAMAGE, *args], check=True)


def images():
    """Name -> the line that is expected for each letter."""
    util('create', '-n', 'dynamic.vhd', '-s', '10', '-S', '64')
    util('fill', '-n', 'dynamic.vhd')
    util('create', '-n', 'fixed.vhd', '-r', '-s', '4')
    util('snapshot', '-n', 'leaf.vhd', '-p', 'dynamic.vhd', '-S', '128')
    util('set', '-n', 'leaf.vhd', '-f', 'marker', '-v', '7')
    util('create', '-n', 'poisoned.vhd', '-s', '2')
    util('set', '-n', 'poisoned.vhd', '-f', 'hidden', '-v', '1')
    damage('poisoned.vhd', 'both', '0', b'v_poison'.hex(), 'sum')
    util('create', '-n', 'footerless.vhd', '-s', '2')
    os.truncate('footerless.vhd', os.path.getsize('footerless.vhd') - 512)

    def rows(name, size, parent=None, hidden=0, marker=0, depth=1, blocks=0, most=None):
        return {'v': str(size), 's': str(os.path.getsize(name)),
                'p': parent or name + ' has no parent', 'f': 'hidden: %d' % hidden,
                'm': 'marker: %d' % marker, 'd': 'chain depth: %d' % depth, 'a': str(blocks),
                'S': str(most or size)}

    parent = os.path.realpath('dynamic.vhd')
    return {
        'dynamic.vhd': rows('dynamic.vhd', 10, blocks=5, most=64),
        'fixed.vhd': rows('fixed.vhd', 4, blocks=2),
        'leaf.vhd': rows('leaf.vhd', 10, parent=parent, marker=7, depth=2, most=128),
        'poisoned.vhd': rows('poisoned.vhd', 2, hidden=1),
        'footerless.vhd': rows('footerless.vhd', 2),
    }


def lines_have_one_order():
    """Of any two, and of all, however the letters are given."""
    for name, rows in images().items():
        size = os.path.getsize(name)
        for count in 1, 2, len(LETTERS):
            for letters in itertools.combinations(LETTERS, count):
                expected = ''.join(rows[letter] + '\n' for letter in letters)
                shuffled = ''.join(reversed(letters))
                assert util('query', '-n', name, '-' + shuffled) == expected, (name, letters)
        assert os.path.getsize(name) == size, name


def what_cannot_be_found_has_a_line_of_text():
    util('snapshot', '-n', 'orphan.vhd', '-p', 'dynamic.vhd')
    os.rename('dynamic.vhd', 'moved.vhd')
    lines = util('query', '-n', 'orphan.vhd', '-vspfd', status=2).splitlines()
    assert lines[0] == '10' and lines[2] == 'query failed' and lines[3] == 'hidden: 0', lines
    assert len(lines) == 5 and not lines[4].isdigit(), lines
    assert util('query', '-n', 'orphan.vhd', '-pu') == './dynamic.vhd\n'
    os.rename('moved.vhd', 'dynamic.vhd')
    assert util('query', '-n', 'missing.vhd', '-v', status=2) == 'error opening missing.vhd: -2\n'


def a_storage_manager_understands_the_answers():
    out = util('query', '--debug', '-vsafp', '-n', 'leaf.vhd')
    fields = out.strip().split('\n')
    assert int(fields[0]) * 1024 * 1024 == 10 << 20
    assert int(fields[1]) == os.path.getsize('leaf.vhd')
    assert fields[2].split('/')[-1].replace('.vhd', '') == 'dynamic'
    assert int(fields[3].replace('hidden: ', '')) == 0
    assert int(fields[4]) == 0
    headers = util('read', '--debug', '-p', '-n', 'leaf.vhd')
    assert re.search(r'Disk type\s+: (\S+) hard disk', headers).group(1) == 'Differencing'
    assert re.findall(r'decoded name : (.*)', headers) == ['./dynamic.vhd'] * 3, headers
    for name, kind in (('fixed.vhd', 'Fixed'), ('dynamic.vhd', 'Dynamic')):
        headers = util('read', '-p', '-n', name)
        assert re.search(r'Disk type\s+: (\S+) hard disk', headers).group(1) == kind
    bitmap = subprocess.run([UTIL, 'read', '--debug', '-B', '-n', 'dynamic.vhd'],
                            stdout=subprocess.PIPE, check=True).stdout
    assert bitmap == b'\xf8', bitmap
    util('read', '-B', '-n', 'fixed.vhd', status=22)
    assert re.match(r'^Coalesced (\d+) sectors', util('coalesce', '-n', 'leaf.vhd')).group(1) == '0'
    assert util('key', '-p', '-n', 'leaf.vhd') == 'none\n'


def the_dump_has_its_labels_in_order():
    lines = util('read', '-p', '-n', 'leaf.vhd').splitlines()
    labels = [line[:20].rstrip() for line in lines if line[20:22] == ': ']
    assert labels[:5] == ['Cookie', 'Features', 'File format version', 'Data offset', 'Timestamp']
    assert labels[5:] == [
        'Creator Application', 'Creator version', 'Creator OS', 'Original disk size',
        'Current disk size', 'Geometry', '', 'Disk type', 'Checksum', 'UUID', 'Saved state',
        'Hidden', 'Cookie', 'Data offset (unusd)', 'Table offset', 'Header version',
        'Max BAT size', 'Block size', 'Parent name', 'Parent UUID', 'Parent timestamp', 'Checksum',
    ] + 3 * ['locator:', '       code', '       data_space', '       data_length',
             '       data_offset', '       decoded name'] + [
        'Batmap offset', 'Batmap size (secs)', 'Batmap version', 'Checksum'], labels


def scanned(*args, status=0):
    """Lines as their callers take them apart."""
    found = {}
    for line in util('scan', *args, status=status).splitlines():
        info = {}
        for word in line.split():
            key, value = word.split('=')
            info[key] = value
            if key == 'scan-error':
                break
        found[info['vhd'].split('/')[-1]] = info
    return found


def a_scan_has_a_line_for_each_image():
    for i in range(60):
        util('create', '-n', 'many-%02d.vhd' % i, '-s', '2')
    for name in 'many-07.vhd', 'many-33.vhd', 'many-59.vhd':
        damage(name, 'both', '0', '58')
    open('many-07.vhd', 'w').close()
    found = scanned('-m', 'many-*.vhd', status=22)
    assert len(found) == 60, len(found)
    assert sum('scan-error' in info for info in found.values()) == 3
    assert found['many-00.vhd'] == {'vhd': 'many-00.vhd', 'capacity': '2097152', 'size': '3584',
                                    'hidden': '0', 'parent': 'none'}
    assert scanned('-f', '-c', '-m', 'many-*.vhd') == scanned('-c', '-m', 'many-*.vhd')
    assert len(scanned('-m', 'many-{01,02,1?}.vhd')) == 12
    assert list(scanned('-f', '-a', '-m', 'leaf.vhd')) == ['leaf.vhd', 'dynamic.vhd']
    assert scanned('-M', 'leaf.vhd')['leaf.vhd']['marker'] == '7'
    assert scanned('-M', 'leaf.vhd')['leaf.vhd']['keyhash'] == ''
    assert util('scan', '-m', 'nothing-*') == ''
    assert util('scan', '-f', '-v', 'leaf.vhd').startswith('vhd=%s/leaf.vhd ' % os.getcwd())
    util('scan', 'absent.vhd', status=2)
    util('scan', '-c', 'absent.vhd')
    os.symlink('nowhere', 'many-gone.vhd')  # as if it vanished between glob and open
    assert len(scanned('-c', '-m', 'many-*.vhd')) == 60
    everything = json.loads(util('scan', '--json', '-c', '-m', 'many-*.vhd'))
    assert len(everything) == 60 and sum('error' in image for image in everything) == 3


def a_tree_is_drawn_with_its_roots_first():
    os.mkdir('tree')
    os.chdir('tree')
    util('create', '-n', 'base.vhd', '-s', '2')
    for name, parent in (('b', 'base'), ('a', 'base'), ('c', 'a'), ('d', 'a'), ('lost', 'd')):
        util('snapshot', '-n', name + '.vhd', '-p', parent + '.vhd', '-e')
    util('set', '-n', 'a.vhd', '-f', 'hidden', '-v', '1')
    os.unlink('d.vhd')

    def line(level, name, parent, hidden=0, suffix=''):
        size = os.path.getsize(name + '.vhd')
        return '%svhd=%s.vhd capacity=2097152 size=%d hidden=%d parent=%s%s\n' % (
            '   ' * level, name, size, hidden, parent, suffix)

    assert util('scan', '-p', '-m', '*.vhd') == (
        line(0, 'base', 'none') + line(1, 'b', 'base.vhd') + line(1, 'a', 'base.vhd', 1) +
        line(2, 'c', 'a.vhd') + line(0, 'lost', 'd.vhd', 0, ' (not found in scan)'))
    os.chdir('..')


def json_says_the_same():
    facts = json.loads(util('query', '--json', '-n', 'leaf.vhd'))
    assert facts['virtual_size'] == 10 << 20 and facts['chain_depth'] == 2, facts
    assert facts['parent'] == os.path.realpath('dynamic.vhd') and facts['marker'] == 7, facts
    good = json.loads(util('check', '--json', '-s', '-n', 'dynamic.vhd'))
    assert good['valid'] and good['allocated_sectors'] == 5 * 4096, good
    bad = json.loads(util('check', '--json', '-n', 'poisoned.vhd', status=22))
    assert bad['problem'] == 'FOOTER_POISONED' and bad['remedy'] == 'revert', bad


def progress_has_a_form_for_programs_and_one_for_people():
    util('create', '-n', 'below.vhd', '-s', '4')
    util('snapshot', '-n', 'above.vhd', '-p', 'below.vhd', '-e')
    filled = subprocess.run([UTIL, 'fill', '--progress', '-n', 'above.vhd'], check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert filled.stdout == b'', filled
    assert re.fullmatch(r'(\r *\d+\.\d\d%  \d+\.\d MiB/s(  \d+:\d\d:\d\d left)? *)+\n',
                        filled.stderr.decode()), filled
    said = util('coalesce', '-p', '-n', 'above.vhd')
    assert re.fullmatch(r'(\r *\d+\.\d\d%)*\r100\.00%\nCoalesced 8192 sectors', said), repr(said)


TESTS = [lines_have_one_order, what_cannot_be_found_has_a_line_of_text,
         a_storage_manager_understands_the_answers, the_dump_has_its_labels_in_order,
         a_scan_has_a_line_for_each_image, a_tree_is_drawn_with_its_roots_first,
         json_says_the_same, progress_has_a_form_for_programs_and_one_for_people]


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print('1..%d' % len(TESTS))
        for number, test in enumerate(TESTS, 1):
            test()
            print('ok %d - %s' % (number, test.__name__), flush=True)
        os.chdir('/')


main()
