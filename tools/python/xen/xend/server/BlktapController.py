# SPDX-License-Identifier: BSD-2-Clause
"""Disks that tapdisk2 serves, as a toolstack names them, starts them and ends them."""

import errno
import logging
import os
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple, Union

from . import tapctl
from .tapctl import TapdiskException, doexec

# A driver's name may be added here by hand; the build adds those of drivers/disktypes.h anyway.
blktap_disk_types = [
    'aio',
    'sync',
    'vhd',
    'ram',
    'log',
]

_generated: List[str] = []
try:
    from .blktap_disk_types_gen import HANDLES
    _generated = list(HANDLES)
except ImportError:  # a source tree that was not built
    pass

blktap_disk_types += [name for name in _generated if name not in blktap_disk_types]
blktap2_disk_types = list(blktap_disk_types)
blktap1_disk_types: List[str] = []

phantomDev = 0
phantomId = 0

log = logging.getLogger('xend.blktap')


# ---- names ----------------------------------------------------------------------------------------


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


class TapCtl(tapctl.TapCtl):
    """tap-ctl, for the disk types of this build."""

    types = blktap_disk_types


# ---- tap-ctl, as xend used it -----------------------------------------------------------------------


class Tapdisk:
    """A row of "tap-ctl list", as its users have known it: the pid stays text."""

    def __init__(self, pid: Optional[str] = None, minor: int = -1, state: Optional[str] = None,
                 dtype: str = '', image: Optional[str] = None,
                 device: Optional[str] = None) -> None:
        self.pid = pid
        self.minor = minor
        self.state = state
        self.dtype = dtype
        self.image = image
        self.device = device

    def __str__(self) -> str:
        return 'image=%s pid=%s minor=%s state=%s type=%s device=%s' % (
            self.image, self.pid, self.minor, self.state, self.dtype, self.device)


def _minor_of(device: str) -> int:
    """The minor of a kernel device, of a marker, or of an NBD export; -1 for anything else.

    A kernel device is known by its name: it may stand for one of a driver that has numbers of its
    own, and that may be gone.
    """
    known = (re.fullmatch(re.escape(TapdiskController.TAP_DEV) + '([0-9]+)', device) or
             re.search(r'/(?:tapdisk-|nbd[1-9][0-9]*\.)([0-9]+)\Z', device))
    return int(known[1]) if known else -1


class TapdiskController:
    """Start, find and end tapdisks; disks are known by their device."""

    TAP_CTL = 'tap-ctl'
    TAP_DEV = '/dev/xen/blktap-2/tapdev'

    @staticmethod
    def exc(*args: str) -> str:
        """Run tap-ctl, and return what it printed."""
        rc, stdout, stderr = doexec([TapdiskController.TAP_CTL, *args])
        out, err = stdout.read().strip(), stderr.read().strip()
        stdout.close()
        stderr.close()
        if rc:
            raise TapdiskException(args, rc, out, err)
        return out

    @staticmethod
    def check() -> int:
        """0 where the kernel can give disks a device, else -1."""
        try:
            TapdiskController.exc('check')
        except (TapdiskException, OSError) as why:
            log.warning('tapdisk: check: %s', why)
            return -1
        return 0

    @staticmethod
    def list() -> List[Tapdisk]:
        disks = []
        for line in TapdiskController.exc('list').split('\n'):
            if not line:
                continue
            words = tapctl.words_of(line)
            minor = int(words.get('minor', -1))
            dtype, _, image = words.get('args', '').partition(':')
            disks.append(Tapdisk(words.get('pid'), minor, words.get('state'), dtype, image or None,
                                 TapdiskController.TAP_DEV + str(minor)))
        return disks

    @staticmethod
    def fromDevice(device: str) -> Optional[Tapdisk]:
        """The disk behind a device, a marker or an NBD export, if there is exactly one."""
        minor = _minor_of(device)
        found = [disk for disk in TapdiskController.list() if disk.minor == minor >= 0]
        return found[0] if len(found) == 1 else None

    @staticmethod
    def create(dtype: str, image: str) -> str:
        """Serve an image; its device, or its marker where the kernel has no devices for us."""
        kernel = ['-K'] if TapdiskController.check() == 0 else []
        return TapdiskController.exc('create', f'-a{dtype}:{image}', *kernel)

    @staticmethod
    def destroy(device: str) -> None:
        disk = TapdiskController.fromDevice(device)
        if not disk:
            return
        if disk.pid:
            TapdiskController.exc('destroy', f'-p{disk.pid}', f'-m{disk.minor}')
        else:
            TapdiskController.exc('free', f'-m{disk.minor}')

    @staticmethod
    def pause(device: str) -> None:
        disk = TapdiskController.fromDevice(device)
        if disk and disk.pid:
            TapdiskController.exc('pause', f'-p{disk.pid}', f'-m{disk.minor}')

    @staticmethod
    def unpause(device: str) -> None:
        disk = TapdiskController.fromDevice(device)
        if disk and disk.pid:
            TapdiskController.exc('unpause', f'-p{disk.pid}', f'-m{disk.minor}')


# ---- devices of a domain ---------------------------------------------------------------------------

Details = Dict[str, Union[str, int]]


class _DevController:
    """What is needed of xend's base class, where there is no xend."""

    def __init__(self, vm: Any) -> None:
        self.vm = vm

    def createDevice(self, config: Dict[str, Any]) -> Optional[int]:
        return None

    def getDeviceDetails(self, config: Dict[str, Any]) -> Tuple[int, Details, Details]:
        return 0, {}, {}

    def getDeviceConfiguration(self, devid: int, transaction: Any = None) -> Dict[str, Any]:
        return {}

    def readBackend(self, devid: int, *names: str) -> Any:
        return None

    def backendExists(self, backpath: str) -> bool:
        return False


if TYPE_CHECKING:
    _Base = _DevController
else:
    try:
        from xen.xend.server.DevController import DevController as _Base
    except ImportError:
        _Base = _DevController


class BlktapController(_Base):
    """Block devices of a domain."""

    def frontendRoot(self) -> str:
        return f'{self.vm.getDomainPath()}/device/vbd'


class Blktap2Controller(BlktapController):
    """Block devices of a domain that are served by tapdisks."""

    CLEANUP_SECONDS = 10.0
    LOOK_SECONDS = 0.1

    def backendPath(self, backdom: Any, devid: int) -> str:
        kind = 'vbd' if TapdiskController.check() == 0 else 'vbd3'
        return f'{backdom.getDomainPath()}/backend/{kind}/{self.vm.getDomid()}/{devid}'

    def createDevice(self, config: Dict[str, Any]) -> Optional[int]:
        """Serve the image, and let the base class make a device of it."""
        uname = config.get('uname', '')
        parsed = parse_uname(uname)
        if parsed.subtyp == 'ioemu':
            raise ValueError(f'{uname}: ioemu disks are not supported by blktap2')
        device = TapdiskController.create(parsed.dtype, parsed.file)
        added = {'tapdisk_uname': uname}
        if device.startswith(TapdiskController.TAP_DEV):
            added['uname'] = f'phy:{device}'
        else:
            added['tapdisk_device'] = device
        before = dict(config)
        config.update(added)
        try:
            devid: Optional[int] = super().createDevice(config)
        except BaseException:
            TapdiskController.destroy(device)
            raise
        finally:
            config.clear()
            config.update(before)
        return devid

    def getDeviceDetails(self, config: Dict[str, Any]) -> Tuple[int, Details, Details]:
        devid, back, front = super().getDeviceDetails(config)
        uname = config.get('tapdisk_uname')
        if uname:
            back['tapdisk-params'] = uname.split(':', 1)[1]
        device = config.get('tapdisk_device')
        if uname and device:
            back.update(self._backend_of(parse_uname(uname), device))
        return devid, back, front

    @staticmethod
    def _backend_of(uname: TapUname, device: str) -> Details:
        """The nodes from which a backend in user space knows its tapdisk."""
        disk = TapdiskController.fromDevice(device)
        if not disk or not disk.pid:
            raise TapdiskException(device, errno.ENODEV, '', 'its tapdisk has gone')
        folder = os.path.dirname(os.path.dirname(device))
        return {
            'type': 'vbd3',
            'params': uname.params,
            'pid': disk.pid,
            'minor': disk.minor,
            'physical-device-path': f'{folder}/nbd{disk.pid}.{disk.minor}',
            'hotplug-status': 'connected',
        }

    def getDeviceConfiguration(self, devid: int, transaction: Any = None) -> Dict[str, Any]:
        config = super().getDeviceConfiguration(devid, transaction)
        params = self.readBackend(devid, 'tapdisk-params')
        if params:
            config['uname'] = f'tap:{params}'
        return dict(config)

    def finishDeviceCleanup(self, backpath: str, path: str) -> None:
        """End the tapdisk once the backend has let go of it."""
        deadline = time.monotonic() + self.CLEANUP_SECONDS
        while self.backendExists(backpath) and time.monotonic() < deadline:
            time.sleep(self.LOOK_SECONDS)
        TapdiskController.destroy(path)
