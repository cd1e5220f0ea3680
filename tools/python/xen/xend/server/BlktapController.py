# SPDX-License-Identifier: BSD-2-Clause
"""Disks that tapdisk2 serves, as a toolstack names them."""

import re
from typing import List, NamedTuple

# A driver's name may be added here by hand; the build adds those of drivers/disktypes.h anyway.
blktap_disk_types = [
    'aio',
    'sync',
    'ram',
    'log',
]

try:
    from .blktap_disk_types_gen import HANDLES
except ImportError:  # a source tree that was not built, or the module on its own
    HANDLES = ()

blktap_disk_types += [name for name in HANDLES if name not in blktap_disk_types]
blktap2_disk_types = list(blktap_disk_types)
blktap1_disk_types: List[str] = []

phantomDev = 0
phantomId = 0


class TapUname(NamedTuple):
    """The parts of "tap:tapdisk:TYPE:FILE"."""

    typ: str
    subtyp: str
    dtype: str
    file: str

    def __str__(self) -> str:
        return f'tap:{self.subtyp}:{self.dtype}:{self.file}'

    @property
    def params(self) -> str:
        """What tap-ctl takes."""
        return f'{self.dtype}:{self.file}'


def _check_type(dtype: str) -> None:
    if dtype not in blktap_disk_types:
        raise ValueError(f'tap:{dtype} not a valid disk type')


def _check_stack(file: str) -> None:
    """Further elements of a stack name types of their own."""
    for element in file.split('|')[1:]:
        handle, colon, _ = element.partition(':')
        if colon and re.fullmatch('[a-z0-9]{1,9}', handle):
            _check_type(handle)


def parse_uname(uname: str) -> TapUname:
    """Take a disk's uname apart; ValueError says what is wrong with it."""
    typ, *rest = uname.split(':')
    subtyp = 'tapdisk'
    if rest and rest[0] in ('tapdisk', 'ioemu'):
        subtyp, *rest = rest
    if typ not in ('tap', 'tap2'):
        raise ValueError(f'{uname}: expected tap: or tap2:')
    if len(rest) < 2 or not rest[0] or not rest[1]:
        raise ValueError(f'{uname}: expected {typ}:TYPE:FILE')
    dtype, file = rest[0], ':'.join(rest[1:])
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in file):
        raise ValueError(f'{uname!r}: control characters in the file name')
    _check_type(dtype)
    _check_stack(file)
    return TapUname(typ, subtyp, dtype, file)
