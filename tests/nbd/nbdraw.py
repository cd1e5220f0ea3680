# SPDX-License-Identifier: BSD-2-Clause
"""A scripted NBD client that speaks every byte itself, the test server, and TAP."""
import array
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

NBDMAGIC = 0x4E42444D41474943
IHAVEOPT = 0x49484156454F5054
OLDSTYLE = 0x0000420281861253
OPTION_REPLY = 0x3E889045565A9
REQUEST, SIMPLE, CHUNK = 0x25609513, 0x67446698, 0x668E33EF
EXT_REQUEST, EXT_CHUNK = 0x21E41C71, 0x6E8A278C

EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO = 1, 2, 3, 5, 6, 7
STRUCTURED_REPLY, LIST_META, SET_META, EXTENDED_HEADERS = 8, 9, 10, 11
ACK, ERR_UNSUP, ERR_INVALID, ERR_TOO_BIG = 1, 0x80000001, 0x80000003, 0x80000009

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = 1, 2, 4, 8, 16, 32
EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 22, 28, 75, 95, 108

MIB = 1 << 20
PATIENCE = 60  # seconds until a wait is a failure


class Closed(Exception):
    """The server has closed the connection."""


def until(condition, why):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, why


class Server:
    """nbd-test-server with one disk of size bytes."""

    def __init__(self, size=MIB, *options, pool=None):
        self.place = tempfile.TemporaryDirectory(prefix='nbd.')  # gone with us, however we end
        self.dir = self.place.name
        program = os.path.join(os.environ.get('top_builddir', '.'), 'tests/nbd/nbd-test-server')
        environment = dict(os.environ, POOL=str(pool)) if pool else None
        self.process = subprocess.Popen([program, self.dir, str(size), *options], text=True,
                                        env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=1)
        self.pid = int(self.process.stdout.readline())

    def path(self, kind='nbd'):
        return '%s/%s%d.7' % (self.dir, kind, self.pid)

    def __call__(self, command):
        self.process.stdin.write(command + '\n')
        return self.process.stdout.readline().strip()

    def stats(self):
        return json.loads(self('stats'))

    def until_held(self, count):
        """Wait until so many requests are with the disk."""
        until(lambda: int(self('held')) >= count, 'no %d requests with the disk' % count)

    def until_clients(self, count):
        until(lambda: self.stats()['nbd']['clients'] == count, 'never %d clients' % count)

    def fds(self):
        self('held')  # whatever it was doing is done
        return len(os.listdir('/proc/%d/fd' % self.pid))

    def uri(self):
        return 'nbd+unix:///?socket=' + self.path()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        left = os.listdir(self.dir)
        self.place.cleanup()
        if kind is None:
            assert status == 0, 'server ended with %d' % status
            assert not left, 'left behind: %s' % left


def pass_fd(path, fds, name=b'client'):
    """Leave descriptors with a receiver; returns when it has closed the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(path)  # waits for its place in the queue, which a time-out would not
        sock.settimeout(PATIENCE)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        sock.sendmsg([name], control)
        try:
            assert sock.recv(1) == b''
        except ConnectionResetError:
            pass


class Client:
    """One connection, byte by byte."""

    def __init__(self, server=None, kind='nbd', sock=None):
        if sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(server.path(kind))
            sock.settimeout(PATIENCE)
        self.sock = sock
        self.mode = 'simple'
        self.cookie = 0
        self.size = self.flags = None

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.sock.close()

    # ---- bytes

    def send(self, *parts):
        self.sock.sendall(b''.join(parts))

    def recv(self, size):
        data = bytearray()
        while len(data) < size:
            try:
                part = self.sock.recv(min(size - len(data), MIB))
            except ConnectionResetError:
                part = b''
            if not part:
                raise Closed('after %d of %d bytes' % (len(data), size))
            data += part
        return bytes(data)

    def unpack(self, form):
        return struct.unpack('>' + form, self.recv(struct.calcsize('>' + form)))

    def expect_close(self):
        try:
            data = self.sock.recv(1)
        except ConnectionResetError:
            data = b''
        assert data == b'', 'still open: %r' % data

    # ---- handshake

    def greet(self, flags=3):
        assert self.unpack('QQH') == (NBDMAGIC, IHAVEOPT, 3)
        self.send(struct.pack('>I', flags))
        return self

    def send_option(self, number, data=b'', length=None, magic=IHAVEOPT):
        length = len(data) if length is None else length
        self.send(struct.pack('>QII', magic, number, length), data)

    def replies(self, number):
        """All replies to an option, the final one included: [(type, data)]."""
        found = []
        while True:
            magic, option, kind, length = self.unpack('QIII')
            assert magic == OPTION_REPLY and option == number, (hex(magic), option)
            found.append((kind, self.recv(length)))
            if kind == ACK or kind & 0x80000000:
                return found

    def option(self, number, data=b''):
        self.send_option(number, data)
        return self.replies(number)

    @staticmethod
    def info_data(name=b'', types=()):
        return struct.pack('>I', len(name)) + name + struct.pack('>H%dH' % len(types),
                                                                 len(types), *types)

    @staticmethod
    def meta_data(name=b'', queries=(b'base:allocation',)):
        data = struct.pack('>I', len(name)) + name + struct.pack('>I', len(queries))
        return data + b''.join(struct.pack('>I', len(q)) + q for q in queries)

    def structured(self):
        assert self.option(STRUCTURED_REPLY) == [(ACK, b'')]
        self.mode = 'structured'
        return self

    def extended(self):
        assert self.option(EXTENDED_HEADERS) == [(ACK, b'')]
        self.mode = 'extended'
        return self

    def contexts(self, name=b''):
        replies = self.option(SET_META, self.meta_data(name))
        assert [kind for kind, _ in replies] == [4, ACK], replies
        return self

    def go(self, name=b''):
        replies = self.option(GO, self.info_data(name, (3,)))
        assert replies[-1] == (ACK, b''), replies
        for kind, data in replies[:-1]:
            if data[:2] == b'\0\0':
                self.size, self.flags = struct.unpack('>QH', data[2:])
        return self

    def oldstyle(self):
        magic, second, self.size, self.flags = self.unpack('QQQI')
        assert (magic, second) == (NBDMAGIC, OLDSTYLE)
        assert self.recv(124) == bytes(124)
        return self

    # ---- transmission

    def request(self, command, offset=0, length=0, data=b'', flags=0, cookie=None):
        """Send a request, and return its cookie."""
        if cookie is None:
            self.cookie += 1
            cookie = self.cookie
        length = len(data) if command == WRITE and not length else length
        if self.mode == 'extended':
            flags |= PAYLOAD_LEN if command == WRITE else 0
            head = struct.pack('>IHHQQQ', EXT_REQUEST, flags, command, cookie, offset, length)
        else:
            head = struct.pack('>IHHQQI', REQUEST, flags, command, cookie, offset, length)
        self.send(head, data)
        return cookie

    def reply(self, reads):
        """The next reply: (cookie, error, what).  reads: {cookie: length} of simple reads."""
        (magic,) = self.unpack('I')
        if magic == SIMPLE:
            assert self.mode != 'extended'
            error, cookie = self.unpack('IQ')
            assert not (self.mode == 'structured' and cookie in reads), 'read without a chunk'
            data = self.recv(reads[cookie]) if cookie in reads and not error else None
            return cookie, error, data
        if self.mode == 'extended':
            assert magic == EXT_CHUNK, hex(magic)
            flags, kind, cookie, offset, length = self.unpack('HHQQQ')
        else:
            assert magic == CHUNK and self.mode == 'structured', hex(magic)
            flags, kind, cookie, length = self.unpack('HHQI')
        assert flags == 1, 'more than one chunk'
        payload = self.recv(length)
        if kind == 0:
            assert not payload
            return cookie, 0, b''
        if kind == 1:
            return cookie, 0, payload[8:]
        if kind in (5, 6):
            assert kind == (6 if self.mode == 'extended' else 5)
            return cookie, 0, self.extents(payload)
        assert kind == 0x8001, hex(kind)
        error, message = struct.unpack('>IH', payload[:6])
        assert error and len(payload) == 6 + message
        return cookie, error, None

    def extents(self, payload):
        if self.mode == 'extended':
            context, count = struct.unpack('>II', payload[:8])
            form, payload = '>QQ', payload[8:]
            assert count * 16 == len(payload)
        else:
            (context,) = struct.unpack('>I', payload[:4])
            form, payload = '>II', payload[4:]
        assert context == 1 and payload
        return list(struct.iter_unpack(form, payload))

    def call(self, command, offset=0, length=0, data=b'', flags=0):
        """One request and its reply: (error, what)."""
        cookie = self.request(command, offset, length, data, flags)
        reads = {cookie: length} if command == READ else {}
        answered, error, what = self.reply(reads)
        assert answered == cookie
        return error, what

    def read(self, offset, length):
        error, data = self.call(READ, offset, length)
        assert error == 0, error
        return data

    def write(self, offset, data, flags=0):
        error, _ = self.call(WRITE, offset, data=data, flags=flags)
        assert error == 0, error

    def disconnect(self):
        self.request(DISC)


def connected(server, mode='simple'):
    """A client in transmission."""
    client = Client(server).greet()
    if mode != 'simple':
        getattr(client, mode)()
        client.contexts()
    return client.go()


def seed():
    value = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 31))
    print('# SEED=%d' % value)
    return value


def main(tests):
    """Run the functions and report in TAP."""
    wanted = sys.argv[1:]
    tests = [t for t in tests if not wanted or t.__name__ in wanted]
    print('1..%d' % len(tests), flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace('_', ' ')
        try:
            test()
            print('ok %d - %s' % (number, name), flush=True)
        except Exception:  # the report is the whole point
            failed += 1
            for line in traceback.format_exc(limit=-3).splitlines():
                print('# ' + line)
            print('not ok %d - %s' % (number, name), flush=True)
    sys.exit(1 if failed else 0)


def tests_of(module):
    return [f for n, f in module.items() if callable(f) and getattr(f, '__module__', '') ==
            '__main__' and not n.startswith('_')]
