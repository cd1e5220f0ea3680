# SPDX-License-Identifier: BSD-2-Clause
"""Compare the files of debs and rpms: each package must hold the same ones in both families.

    compare_packages.py FOLDER-OF-DEBS FOLDER-OF-RPMS
"""

import glob
import os
import re
import subprocess
import sys
from typing import Dict, List, Set

from file_lists import RPM_OF_DEB

# Each family has its own place for these, or its own kind.
OWN = re.compile(r'^/usr/share/(doc|licenses|lintian)/|^/usr/lib/\.build-id|^/var/log/')


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def plain(path: str) -> str:
    """The path without what families and architectures do differently."""
    path = re.sub(r'^/lib/', '/usr/lib/', path)
    path = re.sub(r'^/usr/lib/python3/dist-packages/|^/usr/lib/python3[^/]*/site-packages/',
                  '/PYTHON/', path)
    path = re.sub(r'^/usr/lib64/|^/usr/lib/[a-z0-9_]+-linux-gnu[^/]*/', '/usr/LIB/', path)
    return re.sub(r'(/man/man\d/[^/]*?)\.gz$', r'\1', path)


def of_deb(path: str) -> Set[str]:
    lines = output('dpkg-deb', '-c', path)
    names = [line.split(None, 5)[5].split(' -> ')[0][1:] for line in lines.splitlines()]
    return {plain(name) for name in names if not name.endswith('/') and not OWN.match(name)}


def of_rpm(path: str) -> Set[str]:
    names = output('rpm', '-qp', '--queryformat', '[%{FILENAMES} %{FILEMODES:perms}\n]', path)
    found: List[str] = [line.rsplit(' ', 1)[0] for line in names.splitlines()
                        if not line.rsplit(' ', 1)[1].startswith('d')]
    return {plain(name) for name in found if not OWN.match(name)}


def main(debs: str, rpms: str) -> int:
    by_name: Dict[str, str] = {}
    for path in glob.glob(os.path.join(rpms, '*', '*.rpm')):
        by_name[output('rpm', '-qp', '--queryformat', '%{NAME}', path)] = path
    different = 0
    for deb in sorted(glob.glob(os.path.join(debs, '*.deb'))):
        name = os.path.basename(deb).split('_')[0]
        if name.endswith('-dbgsym'):
            continue
        rpm = by_name.pop(RPM_OF_DEB[name], None)
        if not rpm:
            print(f'{name}: there is no rpm {RPM_OF_DEB[name]}')
            different = 1
            continue
        for sign, names in (('deb', of_deb(deb) - of_rpm(rpm)), ('rpm', of_rpm(rpm) - of_deb(deb))):
            for file in sorted(names):
                print(f'{name}: only in the {sign}: {file}')
                different = 1
    for name in by_name:
        print(f'there is no deb for the rpm {name}')
        different = 1
    return different


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
