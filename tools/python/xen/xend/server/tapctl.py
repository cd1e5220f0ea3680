# SPDX-License-Identifier: BSD-2-Clause
"""tap-ctl for Python: a typed method for each command, a row for each disk."""

import errno
import io
import json
import os
import re
import subprocess
import time
from typing import Any, Container, Dict, List, NamedTuple, Optional, Sequence, TextIO, Tuple, Union

MAX_MINOR = 16383
CONTROL_DIR = '/run/blktap-control'
CONF_FILE = '/etc/blktap/blktap.conf'

# What may follow the colon of these is no path of this host.
NO_PATHS = ('nbd', 'ram', 'remus')

# How long tap-ctl itself waits for a tapdisk; its process gets SPARE_SECONDS more.
PATIENCE = {'open': 180, 'create': 250, 'pause': 180, 'unpause': 180, 'close': 120, 'destroy': 180}
PATIENCE_OF_OTHERS = 30
SPARE_SECONDS = 10

STATE_CLOSED = 0x2
STATE_PAUSING = 0x10
STATE_PAUSED = 0x20


class TapdiskException(Exception):
    """A command that failed: what was run, and what it said."""

    def __init__(self, cmd: Any, rc: int, out: str, err: str) -> None:
        super().__init__(cmd, rc, out, err)
        self.cmd = cmd
        self.rc = rc
        self.out = out
        self.err = err

    @property
    def errno(self) -> int:
        return self.rc

    def __str__(self) -> str:
        return '%s failed (%s %s %s)' % (self.cmd, self.rc, self.out, self.err)


class TapCtlError(TapdiskException):
    """The same, with the error's name for people."""

    def __str__(self) -> str:
        return f'{super().__str__()}: {os.strerror(self.rc)}'


def text_of(said: bytes) -> str:
    """What a command said, line ends as they are; file names need not be UTF-8."""
    return said.decode('utf-8', 'surrogateescape')


def doexec(args: Union[str, Sequence[str]],
           inputtext: Optional[str] = None) -> Tuple[int, TextIO, TextIO]:
    """Run a command without a shell; its status, and what it said as files."""
    words = [args] if isinstance(args, str) else list(args)
    done = subprocess.run(words, input=(inputtext or '').encode('utf-8', 'surrogateescape'),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=True,
                          check=False)
    return done.returncode, io.StringIO(text_of(done.stdout)), io.StringIO(text_of(done.stderr))


def control_dir() -> str:
    """The folder of the tapdisks' sockets, chosen as tap-ctl does."""
    given = os.environ.get('BLKTAP_CONTROL_DIR')
    if given:
        return given
    try:
        with open(CONF_FILE, encoding='utf-8', errors='surrogateescape') as conf:
            for line in conf:
                told = re.match(r'[ \t]*control-dir[ \t]*=[ \t]*([^#\n]*)', line)
                if told and told[1].rstrip():
                    return told[1].rstrip()
    except OSError:
        pass
    return CONTROL_DIR


class TapRow(NamedTuple):
    """A disk, a tapdisk without disks, or a minor without a tapdisk: what is absent is None."""

    pid: Optional[int] = None
    minor: Optional[int] = None
    state: Optional[int] = None
    dtype: Optional[str] = None
    path: Optional[str] = None

    @property
    def paused(self) -> bool:
        return bool((self.state or 0) & STATE_PAUSED)

    @property
    def pausing(self) -> bool:
        return bool((self.state or 0) & STATE_PAUSING) and not self.paused

    @property
    def closed(self) -> bool:
        return bool((self.state or 0) & STATE_CLOSED)

    @property
    def nbd_path(self) -> Optional[str]:
        """The socket of the disk's NBD export."""
        if self.pid is None or self.minor is None:
            return None
        return f'{control_dir()}/nbd{self.pid}.{self.minor}'


def words_of(line: str) -> Dict[str, str]:
    """The words of a line of "tap-ctl list"; the last one keeps its blanks."""
    pairs = (word.split('=', 1) for word in line.split(None, 3))
    return {pair[0]: pair[1].rstrip('\n') for pair in pairs if len(pair) == 2}


def row_of_line(line: str) -> TapRow:
    words = words_of(line)
    dtype, colon, path = words.get('args', '').partition(':')
    return TapRow(
        pid=int(words['pid']) if 'pid' in words else None,
        minor=int(words['minor']) if 'minor' in words else None,
        state=int(words['state'], 16) if 'state' in words else None,
        dtype=dtype if colon else None,
        path=path if colon else None)


def row_of_json(entry: Dict[str, Any]) -> TapRow:
    return TapRow(entry.get('pid'), entry.get('minor'), entry.get('state'), entry.get('type'),
                  entry.get('path'))


class TapCtl:
    """The commands of a tap-ctl; each raises TapCtlError when it fails."""

    types: Optional[Container[str]] = None  # those that exist; None: not checked here
    retry_seconds = 0.5  # between attempts to spawn

    def __init__(self, program: str = 'tap-ctl') -> None:
        self.program = program
        self._json = True

    # ---- how a command is run ------------------------------------------------------------------

    def run(self, verb: str, *args: str, key: Optional[bytes] = None,
            seconds: Optional[int] = None) -> str:
        """Run one command, and return what it printed."""
        command = [self.program, verb, *args]
        if seconds is None:
            seconds = PATIENCE.get(verb, PATIENCE_OF_OTHERS)
        deadline = seconds + SPARE_SECONDS if seconds else None
        try:
            done = subprocess.run(command, input=key or b'', stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=deadline, check=False)
        except subprocess.TimeoutExpired:
            raise TapCtlError(command, errno.ETIMEDOUT, '', 'no answer') from None
        except OSError as why:
            raise TapCtlError(command, why.errno or errno.EIO, '', str(why)) from None
        out, err = text_of(done.stdout), text_of(done.stderr)
        if done.returncode:
            raise TapCtlError(command, done.returncode, out.strip(), err.strip())
        return out

    @staticmethod
    def _disk(pid: int, minor: int) -> List[str]:
        if pid <= 1:
            raise ValueError(f'{pid} is no pid of a tapdisk')
        return ['-p', str(pid), '-m', TapCtl._minor(minor)]

    @staticmethod
    def _minor(minor: int) -> str:
        if not 0 <= minor <= MAX_MINOR:
            raise ValueError(f'{minor} is no minor: they go from 0 to {MAX_MINOR}')
        return str(minor)

    @staticmethod
    def _file(path: str) -> str:
        if not path.startswith('/'):
            raise ValueError(f'{path!r} is no absolute path')
        if any(ord(char) < 0x20 or ord(char) == 0x7F for char in path):
            raise ValueError(f'{path!r} has control characters')
        return path

    def _params(self, dtype: str, path: str) -> str:
        if self.types is not None and dtype not in self.types:
            raise ValueError(f'tap:{dtype} not a valid disk type')
        if dtype in NO_PATHS:
            self._file('/' + path)
        else:
            self._file(path)
        return f'{dtype}:{path}'

    @staticmethod
    def _timeout(timeout: Optional[int]) -> List[str]:
        return [] if timeout is None else ['-t', str(timeout)]

    # ---- what there is -----------------------------------------------------------------------------

    def list(self, pid: Optional[int] = None, minor: Optional[int] = None,
             dtype: Optional[str] = None, path: Optional[str] = None) -> List[TapRow]:
        chosen: List[str] = []
        for option, value in (('-p', pid), ('-m', minor), ('-t', dtype), ('-f', path)):
            if value is not None:
                chosen += [option, str(value)]
        if self._json:
            try:
                return [row_of_json(entry) for entry in json.loads(self.run('list', *chosen, '--json'))]
            except TapCtlError as why:
                if why.errno != errno.EINVAL:
                    raise
                self._json = False
        rows = [row_of_line(line) for line in self.run('list', *chosen).split('\n') if line]
        if dtype is not None and path is not None:
            # With both, blanks and commas of the path were printed as octal numbers.
            rows = [row._replace(path=path) for row in rows]
        return rows

    def find(self, dtype: Optional[str] = None, path: Optional[str] = None) -> Optional[TapRow]:
        """The only disk of this type and path, or None."""
        rows = self.list(dtype=dtype, path=path)
        if len(rows) > 1:
            raise TapCtlError([self.program, 'list'], errno.EEXIST, '',
                              f'{len(rows)} disks are {dtype or "*"}:{path or "*"}')
        return rows[0] if rows else None

    def stats(self, pid: int, minor: int) -> Dict[str, Any]:
        found = json.loads(self.run('stats', *self._disk(pid, minor)))
        assert isinstance(found, dict)
        return found

    def info(self, pid: int, minor: int) -> Dict[str, Any]:
        found = json.loads(self.run('info', *self._disk(pid, minor), '--json'))
        assert isinstance(found, dict)
        return found

    def version(self) -> str:
        return self.run('--version').strip()

    # ---- minors and processes --------------------------------------------------------------------

    @staticmethod
    def _minor_of_path(path: str) -> int:
        number = re.search(r'([0-9]+)$', path)
        if not number:
            raise ValueError(f'{path!r} does not end with a minor')
        return int(number.group())

    def allocate(self, kernel: bool = False) -> Tuple[int, str]:
        path = self.run('allocate', *(['-K'] if kernel else [])).strip()
        return self._minor_of_path(path), path

    def free(self, minor: int) -> None:
        self.run('free', '-m', self._minor(minor))

    def spawn(self, retries: int = 10) -> int:
        """Start a tapdisk; a failure that may pass is tried again."""
        while True:
            try:
                return int(self.run('spawn'))
            except TapCtlError as why:
                if why.errno != 1 or retries <= 0:
                    raise
            retries -= 1
            time.sleep(self.retry_seconds)

    def attach(self, pid: int, minor: int) -> None:
        self.run('attach', *self._disk(pid, minor))

    def detach(self, pid: int, minor: int) -> None:
        self.run('detach', *self._disk(pid, minor))

    # ---- images --------------------------------------------------------------------------------------

    def _open_options(self, *, readonly: bool = False, o_direct: bool = True,
                      parent_minor: Optional[int] = None, local_cache: bool = False,
                      secondary: Optional[str] = None, standby: bool = False,
                      timeout: Optional[int] = None, log: Optional[str] = None,
                      key: Optional[bytes] = None) -> List[str]:
        if standby and secondary is None:
            raise ValueError('a standby needs a secondary image')
        if key is not None and len(key) not in (32, 64):
            raise ValueError('a key has 32 or 64 bytes')
        args = ['-R'] if readonly else []
        args += [] if o_direct else ['-D']
        args += [] if parent_minor is None else ['-e', self._minor(parent_minor)]
        args += ['-r'] if local_cache else []
        args += [] if secondary is None else ['-2', secondary]
        args += ['-s'] if standby else []
        args += self._timeout(timeout)
        args += [] if log is None else ['-C', self._file(log)]
        args += [] if key is None else ['-E']
        return args

    def open(self, pid: int, minor: int, dtype: str, path: str, **options: Any) -> None:
        self.run('open', *self._disk(pid, minor), '-a', self._params(dtype, path),
                 *self._open_options(**options), key=options.get('key'))

    def create(self, dtype: str, path: str, **options: Any) -> Tuple[str, int]:
        marker = self.run('create', '-a', self._params(dtype, path),
                          *self._open_options(**options), key=options.get('key')).strip()
        return marker, self._minor_of_path(marker)

    def close(self, pid: int, minor: int, *, force: bool = False,
              timeout: Optional[int] = None) -> None:
        self.run('close', *self._disk(pid, minor), *(['-f'] if force else []),
                 *self._timeout(timeout), seconds=timeout)

    def destroy(self, pid: int, minor: int, *, timeout: Optional[int] = None) -> None:
        self.run('destroy', *self._disk(pid, minor), *self._timeout(timeout), seconds=timeout)

    def pause(self, pid: int, minor: int, timeout: Optional[int] = None) -> None:
        self.run('pause', *self._disk(pid, minor), *self._timeout(timeout), seconds=timeout)

    def unpause(self, pid: int, minor: int, *, dtype: Optional[str] = None,
                path: Optional[str] = None, secondary: Optional[str] = None,
                log: Optional[str] = None, timeout: Optional[int] = None) -> None:
        if (dtype is None) != (path is None):
            raise ValueError('another image is given by its type and its path')
        args = self._disk(pid, minor)
        if dtype is not None and path is not None:
            args += ['-a', self._params(dtype, path)]
        args += [] if secondary is None else ['-2', secondary]
        args += [] if log is None else ['-c', self._file(log)]
        self.run('unpause', *args, *self._timeout(timeout), seconds=timeout)

    # ---- jobs ----------------------------------------------------------------------------------------

    def commit(self, pid: int, minor: int, path: str) -> None:
        self.run('commit', *self._disk(pid, minor), '-a', self._file(path))

    def query(self, pid: int, minor: int) -> Tuple[str, int, int]:
        """The status of a commit, and how much of how much is done."""
        out = self.run('query', *self._disk(pid, minor))
        told = re.match(r"Commit status '(.*)' \(([0-9]+)/([0-9]+)\)", out)
        if not told:
            raise TapCtlError([self.program, 'query'], errno.EPROTO, out.strip(), '')
        return told[1], int(told[2]), int(told[3])

    def cancel(self, pid: int, minor: int, wait: bool = True) -> None:
        self.run('cancel', *self._disk(pid, minor), *(['-w'] if wait else []))
