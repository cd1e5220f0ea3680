# SPDX-License-Identifier: BSD-2-Clause
"""A small client of xenstored's socket, for tests, and the stand-in for xenstored itself.

    with Xenstored() as xenstored, xenstored.connect() as store:
        store.write('/local/domain/5/x', '1')
        guest = xenstored.guest(5)      # introduces the domain; held to permissions

Xenstored().env has the variables by which other programs find it.
"""
import errno
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

(CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, START, END, INTRODUCE, RELEASE, _,
 WRITE, MKDIR, RM, SET_PERMS, EVENT, ERROR, IS_INTRODUCED) = range(18)
HEAD = struct.Struct('=IIII')


class Store:
    """A connection.  What fails raises OSError with the errno that xenstored named."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.sock.settimeout(60)
        self.events, self.request = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def _exactly(self, count):
        data = b''
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, 'xenstored closed the connection')
            data += piece
        return data

    def _message(self):
        kind, request, _, length = HEAD.unpack(self._exactly(HEAD.size))
        return kind, request, self._exactly(length)

    def ask(self, kind, *texts, tx=0, raw=None):
        payload = raw if raw is not None else b''.join(
            (text if isinstance(text, bytes) else str(text).encode()) + b'\0' for text in texts)
        self.request += 1
        self.sock.sendall(HEAD.pack(kind, self.request, tx, len(payload)) + payload)
        while True:
            got, request, reply = self._message()
            if got == EVENT:
                self.events.append(tuple(reply.decode().split('\0')[:2]))
            elif request == self.request:
                break
        if got == ERROR:
            name = reply[:-1].decode()
            raise OSError(getattr(errno, name), name)
        return reply

    def read(self, path, tx=0):
        return self.ask(READ, path, tx=tx).decode()

    def get(self, path, tx=0):
        """The value, or None if there is no such node."""
        try:
            return self.read(path, tx)
        except OSError as why:
            if why.errno != errno.ENOENT:
                raise
            return None

    def write(self, path, value, tx=0):
        self.ask(WRITE, raw=path.encode() + b'\0' + str(value).encode(), tx=tx)

    def write_all(self, path, values):
        """A dictionary of nodes below path, in one transaction."""
        while True:
            tx = self.start()
            for name, value in values.items():
                self.write('%s/%s' % (path, name), value, tx)
            try:
                self.end(tx)
                return
            except OSError as why:
                if why.errno != errno.EAGAIN:
                    raise

    def mkdir(self, path, tx=0):
        self.ask(MKDIR, path, tx=tx)

    def rm(self, path, tx=0):
        self.ask(RM, path, tx=tx)

    def ls(self, path, tx=0):
        return self.ask(DIRECTORY, path, tx=tx).decode().split('\0')[:-1]

    def perms(self, path):
        return self.ask(GET_PERMS, path).decode().split('\0')[:-1]

    def set_perms(self, path, *perms):
        self.ask(SET_PERMS, path, *perms)

    def start(self):
        return int(self.ask(START, '')[:-1])

    def end(self, tx, commit=True):
        self.ask(END, 'T' if commit else 'F', tx=tx)

    def watch(self, path, token):
        self.ask(WATCH, path, token)

    def unwatch(self, path, token):
        self.ask(UNWATCH, path, token)

    def event(self, timeout=60):
        """The next event, (path, token)."""
        self.sock.settimeout(timeout)
        try:
            while not self.events:
                kind, _, reply = self._message()
                assert kind == EVENT, kind
                self.events.append(tuple(reply.decode().split('\0')[:2]))
        finally:
            self.sock.settimeout(60)
        return self.events.pop(0)

    def wait_value(self, path, *wanted):
        """Until path has one of the wanted values (None: is not there): the value.  Events of other
        watches are kept for who looks for them."""
        token = 'wait-%d' % (self.request + 1)
        others = []
        self.watch(path, token)
        try:
            while True:
                value = self.get(path)
                if value in wanted:
                    return value
                others.append(self.event())
        finally:
            self.unwatch(path, token)
            self.events = [event for event in others + self.events if event[1] != token]

    def introduce(self, domid):
        self.ask(INTRODUCE, domid, 0, 0)

    def release(self, domid):
        self.ask(RELEASE, domid)

    def control(self, *words):
        return self.ask(CONTROL, *words).rstrip(b'\0').decode()

    def counts(self):
        words = self.control('stats').split()
        return dict(zip(words[::2], map(int, words[1::2])))


class Xenstored:
    """A running stand-in."""

    def __init__(self):
        self.rundir = tempfile.mkdtemp(prefix='xs.')
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                          'xenstored-double'), self.rundir],
            stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'ready\n'
        self.path = os.path.join(self.rundir, 'socket')
        self.env = {'XENSTORED_RUNDIR': self.rundir, 'XENSTORED_PATH': self.path,
                    'XENSTORED_ROOTDIR': self.rundir}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.rundir)

    def connect(self):
        return Store(self.path)

    def guest(self, domid):
        with self.connect() as store:
            store.introduce(domid)
        return Store('%s.%d' % (self.path, domid))
