# SPDX-License-Identifier: BSD-2-Clause
"""The disk lines of a guest's configuration, as xm and xl read them, and what tap-ctl makes of them."""

import re
from typing import Dict, List, NamedTuple, Optional

POSITIONS = ('target', 'format', 'vdev', 'access')
KEYS = ('target', 'format', 'vdev', 'access', 'backend', 'backendtype', 'script', 'devtype')
FLAGS = ('cdrom', 'discard', 'no-discard', 'direct-io-safe')
FORMATS = ('raw', 'qcow', 'qcow2', 'vhd', 'qed', 'empty')
ACCESS = {'r': 'r', 'ro': 'r', 'w': 'w', 'rw': 'w', '': 'w'}

# xl drops these words before the first colon; those that name a format choose it.
DROPPED = ('tap', 'tap2', 'tapdisk', 'aio', 'ioemu', 'file', 'phy')
CHOOSING = ('raw', 'qcow', 'qcow2', 'vhd')

# Scripts whose target is TYPE:FILE, whatever xl knows of the type.
SCRIPTS = ('block-tap', 'block-tapdisk', 'blktap')

# What libxl lets user space serve by itself, and the driver that it asks for.
DRIVERS = {'raw': 'aio', 'vhd': 'vhd'}


class DiskConfig(NamedTuple):
    """A disk line, taken apart."""

    target: str
    format: str
    vdev: str
    mode: str  # 'r' or 'w'
    backendtype: Optional[str] = None
    script: Optional[str] = None
    backend: Optional[str] = None
    cdrom: bool = False

    @property
    def params(self) -> str:
        """TYPE:FILE for tap-ctl; ValueError where a tapdisk cannot be meant."""
        if self.script is not None and self.script.rsplit('/', 1)[-1] in SCRIPTS:
            if not re.match('[a-z0-9]{1,9}:.', self.target):
                raise ValueError(f'{self.target}: the script {self.script} expects TYPE:FILE')
            return self.target
        if self.backendtype not in (None, 'tap'):
            raise ValueError(f'backendtype={self.backendtype} is not served by a tapdisk')
        if self.cdrom:
            raise ValueError('a CD-ROM is not served by a tapdisk')
        if self.format not in DRIVERS:
            raise ValueError(f'format={self.format}: only {" and ".join(DRIVERS)} can be named in '
                             'this way; use script=block-tapdisk')
        return f'{DRIVERS[self.format]}:{self.target}'


def _mode(access: str) -> str:
    if access not in ACCESS:
        raise ValueError(f'access {access!r} is neither r nor w')
    return ACCESS[access]


# ---- xl -------------------------------------------------------------------------------------------


class _Fields:
    """What has been read of a line so far."""

    def __init__(self) -> None:
        self.found: Dict[str, str] = {}
        self.position = 0

    def set(self, key: str, value: str) -> None:
        if self.found.get(key):
            raise ValueError(f'{key} is given twice')
        self.found[key] = value

    def flag(self, word: str) -> bool:
        if word not in FLAGS:
            return False
        self.found[word] = 'yes'
        return True

    def positional(self, value: str) -> None:
        while self.position < len(POSITIONS) and self.found.get(POSITIONS[self.position]):
            self.position += 1
        if self.position == len(POSITIONS):
            raise ValueError(f'{value!r}: more parts than a disk has')
        key = POSITIONS[self.position]
        self.position += 1
        if key == 'target':
            value = self._prefixes(value)
        elif key == 'vdev' and value.endswith(':cdrom'):
            value = value[:-len(':cdrom')]
            self.found['devtype'] = 'cdrom'
        self.found[key] = value

    def _prefixes(self, target: str) -> str:
        while True:
            word, colon, rest = target.partition(':')
            if not colon or word not in DROPPED + CHOOSING:
                return target
            if word in CHOOSING:
                self.set('format', word)
            target = rest


def parse_xl(line: str) -> DiskConfig:
    """Take a disk of xl's configuration apart; see xl-disk-configuration(5)."""
    fields = _Fields()
    rest: Optional[str] = line.strip()
    while rest is not None:
        named = re.match(r'\s*([a-z][-a-z]*)=', rest)
        if named and named[1] == 'target':
            fields.set('target', rest[named.end():])
            break
        item, comma, tail = rest.partition(',')
        rest = tail if comma else None
        if named:
            if named[1] not in KEYS:
                raise ValueError(f'{named[1]}: unknown key')
            fields.set(named[1], item[named.end():].strip())
        elif not fields.flag(item.strip()):
            fields.positional(item.strip())
    return _disk_of(fields.found, line)


def _disk_of(found: Dict[str, str], line: str) -> DiskConfig:
    image_format = found.get('format') or 'raw'
    if image_format not in FORMATS:
        raise ValueError(f'{image_format}: unknown format')
    if not found.get('vdev'):
        raise ValueError(f'{line}: no vdev')
    target = found.get('target', '')
    if not target and image_format != 'empty':
        raise ValueError(f'{line}: no target')
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in target):
        raise ValueError(f'{line!r}: control characters in the target')
    return DiskConfig(
        target=target, format=image_format, vdev=found['vdev'],
        mode=_mode(found.get('access', '')), backendtype=found.get('backendtype') or None,
        script=found.get('script') or None, backend=found.get('backend') or None,
        cdrom='cdrom' in found or found.get('devtype') == 'cdrom')


# ---- xm -------------------------------------------------------------------------------------------


class XmDisk(NamedTuple):
    """UNAME,VDEV,MODE[,DOMAIN] of an xm configuration."""

    uname: str
    vdev: str
    mode: str
    backend: Optional[str] = None


def parse_xm(line: str) -> XmDisk:
    """Take a disk of xm's configuration apart; parse_uname knows its first part."""
    parts: List[str] = line.rsplit(',', 3)
    backend = None
    if len(parts) == 4 and parts[2] in ACCESS and parts[2]:
        backend = parts.pop()
    else:
        parts = line.rsplit(',', 2)
    if len(parts) != 3 or not all(parts):
        raise ValueError(f'{line}: expected UNAME,VDEV,MODE')
    return XmDisk(parts[0], parts[1], _mode(parts[2]), backend)
