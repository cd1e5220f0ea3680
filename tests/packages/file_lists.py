# SPDX-License-Identifier: BSD-2-Clause
"""Which file goes into which package: what the build installs, and the lists of the packages.

Paths are those of a Debian system, without the leading slash; the folder of libraries is
usr/lib/ARCH in them, whatever the build calls it.
"""

import fnmatch
import os
import re
import subprocess
from typing import Dict, List

# Packages have the names that each family gives them.
RPM_OF_DEB = {
    'blktap2': 'blktap2',
    'blktap2-utils': 'blktap2-utils',
    'libblktapctl1.0': 'libblktapctl',
    'libblktapctl-dev': 'libblktapctl-devel',
    'libvhd2': 'libvhd',
    'libvhd-dev': 'libvhd-devel',
    'python3-blktap2': 'python3-blktap2',
}

# What no package takes.
LEFT_OUT = ('*.la', '*/__pycache__/*')

# Folders that configure may have put elsewhere, and where a package has them.
FOLDERS = (
    ('pythondir', 'usr/lib/python3/dist-packages'),
    ('libdir', 'usr/lib/ARCH'),
    ('libexecdir', 'usr/libexec'),
    ('sysconfdir', 'etc'),
    ('prefix', 'usr'),
)

Lists = Dict[str, List[str]]


def _folders(build: str) -> Dict[str, str]:
    """What the build's Makefile says of its folders."""
    names = [name for name, _ in FOLDERS]
    rule = 'include Makefile\nsay-folders:\n' + ''.join(f'\t@echo $({name})\n' for name in names)
    done = subprocess.run(['make', '-s', '-f', '-', 'say-folders'], input=rule, cwd=build,
                          env={**os.environ, 'MAKEFLAGS': ''}, stdout=subprocess.PIPE, text=True,
                          check=True)
    return dict(zip(names, done.stdout.split()))


def installed(build: str, root: str) -> List[str]:
    """Install the build below root, and list the files."""
    subprocess.run(['make', '-s', 'install', f'DESTDIR={root}'], cwd=build, check=True,
                   env={**os.environ, 'MAKEFLAGS': ''}, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    folders = _folders(build)
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)[len(root):]
            for variable, place in FOLDERS:
                if variable == 'libdir' and not re.search(r'(\.so[.0-9]*|\.a|\.pc)$', path):
                    continue  # often the same as PREFIX/lib, which has other things, too
                if path.startswith(folders[variable] + '/'):
                    path = '/' + place + path[len(folders[variable]):]
                    break
            found.append(path[1:])
    return sorted(path for path in found
                  if not any(fnmatch.fnmatchcase(path, left) for left in LEFT_OUT))


def of_debs(debian: str) -> Lists:
    """The patterns of debian/PACKAGE.install."""
    lists = {}
    for name in sorted(os.listdir(debian)):
        package, dot, kind = name.rpartition('.')
        if kind != 'install' or not dot:
            continue
        with open(os.path.join(debian, name), encoding='utf-8') as lines:
            words = [line.split() for line in lines if line.strip() and line[0] != '#']
        lists[package] = [word[0].replace('usr/lib/*/', 'usr/lib/ARCH/') for word in words]
    return lists


MACROS = (
    ('%{python3_sitelib}', 'usr/lib/python3/dist-packages'),
    ('%{_libdir}', 'usr/lib/ARCH'),
    ('%{_sbindir}', 'usr/sbin'),
    ('%{_bindir}', 'usr/bin'),
    ('%{_libexecdir}', 'usr/libexec'),
    ('%{_includedir}', 'usr/include'),
    ('%{_mandir}', 'usr/share/man'),
    ('%{_datadir}', 'usr/share'),
    ('%{_sysconfdir}', 'etc'),
    ('%{_unitdir}', 'usr/lib/systemd/system'),
    ('%{_tmpfilesdir}', 'usr/lib/tmpfiles.d'),
    ('%{_udevrulesdir}', 'usr/lib/udev/rules.d'),
)


def of_rpms(spec: str) -> Lists:
    """The patterns of the %files sections, without folders and documents."""
    lists: Lists = {}
    package = None
    with open(spec, encoding='utf-8') as lines:
        for line in lines:
            section = re.match(r'%files(?: -n (\S+)| (\S+))?\s*$', line)
            if section:
                package = section[1] or ('blktap2-' + section[2] if section[2] else 'blktap2')
                lists[package] = []
            elif line.startswith('%changelog'):
                package = None
            elif package and line.strip() and not re.match(r'#|%(dir|license|doc|ghost)\b', line):
                path = line.split()[-1]
                for macro, place in MACROS:
                    path = path.replace(macro, place)
                path = re.sub(r'(/man/man\d/.*)\*$', r'\1', path)
                lists[package].append(path)
    return lists


def owners(path: str, lists: Lists) -> List[str]:
    """The packages whose list has the file, once for each pattern."""
    return [package for package, patterns in lists.items() for pattern in patterns
            if fnmatch.fnmatchcase(path, pattern)]
