# SPDX-License-Identifier: BSD-2-Clause
"""A tapdisk as tapback sees one: its control socket, disks that are only described, and rings that
are only noted.  It runs in a thread, under the process id of the test."""
import errno
import os
import selectors
import socket
import struct
import threading

HEAD = struct.Struct('<4sHHHHIQII')
HELLO, PING, LIST, INFO, CONNECT, DISCONNECT, RINGS, SUBSCRIBE, NOTICE = (
    1, 2, 9, 11, 12, 13, 14, 22, 23)
ALL_RINGS = 1014  # RINGS of all disks, in calls
REPLY, ERROR, MORE, EVENT = 1, 2, 4, 8
(NAME, LIMITS, PID, ERROR_TEXT, PARAMS, STATE, SECTORS, SECTOR_SIZE, INFO_BITS, NBD_PATH, PHYS, CAN, FORCE,
 DOMID, DEVID, PROTO, QUEUE, FEATURES, POLL, RING_STATE, INDIRECT, FLAGS, KIND) = (
     5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 18, 19, 25, 30, 31, 32, 33, 34, 35, 36, 37, 38, 42)
RESIZED, RING_ERROR = 9, 4
NONE = 0xffffffff
FLUSH, DISCARD = 1, 2


def u32(value):
    return struct.pack('<I', value)


def u64(value):
    return struct.pack('<Q', value)


def attribute(tag, value):
    return struct.pack('<HHI', tag, 0, len(value)) + value + bytes(-len(value) % 8)


def attributes(payload):
    at, found = 0, []
    while at < len(payload):
        tag, _, length = struct.unpack_from('<HHI', payload, at)
        found.append((tag, payload[at + 8:at + 8 + length]))
        at += 8 + length + -length % 8
    return found


class Disk:
    def __init__(self, sectors):
        self.sectors, self.sector_size, self.phys, self.info = sectors, 512, 4096, 0
        self.can, self.is_open, self.params = FLUSH | DISCARD, True, None


class FakeTapdisk:
    """disks: minor -> Disk; rings: (domid, devid) -> what came with the request; calls: the types
    of requests in order.  refuse: type -> (errno, text) for the next request of the type.  hold: types
    that are not answered until let_go."""

    def __init__(self, rundir, max_queues=8):
        self.dir, self.max_queues, self.pid = rundir, max_queues, os.getpid()
        self.disks, self.rings, self.calls = {}, {}, []
        self.refuse, self.hold, self.held = {}, set(), []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.running = False
        self.start()

    def start(self):
        self.path = os.path.join(self.dir, 'ctl%d' % self.pid)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(32)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wake, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.clients = {}
        self.running = True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def die(self, unlink=False):
        """As by SIGKILL: the socket's name stays behind, rings are gone."""
        with self.lock:
            self.running = False
            self.rings, self.held = {}, []
        self.wake.send(b'x')
        self.thread.join()
        for sock in [self.listener, self.wake, self.woken, *self.clients]:
            sock.close()
        self.selector.close()
        if unlink:
            os.unlink(self.path)

    stop = die

    def revive(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.start()

    def hang_up(self):
        """End all connections, and go on."""
        with self.lock:
            for client in list(self.clients):
                client.shutdown(socket.SHUT_RDWR)

    def wait(self, condition, timeout=120):
        with self.lock:
            assert self.changed.wait_for(condition, timeout), 'waited in vain'

    # ---- the thread -------------------------------------------------------------------------

    def serve(self):
        while self.running:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    client, _ = self.listener.accept()
                    with self.lock:
                        self.clients[client] = b''
                    self.selector.register(client, selectors.EVENT_READ)
                elif key.fileobj is not self.woken:
                    self.receive(key.fileobj)

    def receive(self, client):
        try:
            data = client.recv(65536)
        except OSError:
            data = b''
        if not data:
            self.selector.unregister(client)
            with self.lock:
                del self.clients[client]
                client.close()
                self.changed.notify_all()
            return
        data = self.clients[client] + data
        while len(data) >= HEAD.size:
            length = HEAD.unpack_from(data)[5]
            if len(data) < HEAD.size + length:
                break
            with self.lock:
                self.take(client, HEAD.unpack_from(data), data[HEAD.size:HEAD.size + length])
            data = data[HEAD.size + length:]
        self.clients[client] = data

    def take(self, client, head, payload):
        kind, request, minor = head[3], head[6], head[7]
        if not self.running:
            return
        if kind == RINGS and minor == NONE:
            kind = ALL_RINGS
        self.calls.append(kind)
        if kind in self.hold:
            self.held.append((client, kind, request, minor, payload))
        else:
            self.answer(client, kind, request, minor, payload)
        self.changed.notify_all()

    def let_go(self):
        with self.lock:
            self.hold, held, self.held = set(), self.held, []
            for call in held:
                self.answer(*call)
            self.changed.notify_all()

    def send(self, client, kind, request, minor, flags, error, *attrs):
        payload = b''.join(attribute(tag, value) for tag, value in attrs)
        try:
            client.sendall(HEAD.pack(b'BTC2', 1, HEAD.size, kind, flags, len(payload), request,
                                     minor, error) + payload)
        except OSError:
            pass

    def answer(self, client, kind, request, minor, payload):
        def error(number, text):
            self.send(client, kind, request, minor, REPLY | ERROR, number,
                      (ERROR_TEXT, text.encode()))

        attrs = dict(attributes(payload))
        if kind in self.refuse:
            error(*self.refuse.pop(kind))
        elif kind == HELLO:
            self.send(client, kind, request, minor, REPLY, 0, (PID, u32(self.pid)),
                      (LIMITS, struct.pack('<IIII', 1 << 20, 8, 64, self.max_queues)))
        elif kind == SUBSCRIBE:
            self.send(client, kind, request, minor, REPLY, 0)
        elif kind == ALL_RINGS:
            self.send_rings(client, RINGS, request, minor)
        elif minor not in self.disks:
            error(errno.ENODEV, 'no such disk is attached')
        elif kind == INFO:
            self.send_info(client, request, minor)
        elif kind == RINGS:
            self.send_rings(client, kind, request, minor)
        elif kind == CONNECT:
            self.connect(client, request, minor, attributes(payload), error)
        elif kind == DISCONNECT:
            name = (struct.unpack('<I', attrs[DOMID])[0], struct.unpack('<I', attrs[DEVID])[0])
            if self.rings.pop(name, None) is None:
                error(errno.ENODEV, 'no such ring')
            else:
                self.forced = FORCE in attrs
                self.send(client, kind, request, minor, REPLY, 0)
        else:
            error(errno.EOPNOTSUPP, 'what is that?')

    def send_info(self, client, request, minor):
        disk = self.disks[minor]
        attrs = [(PID, u32(self.pid)), (STATE, u32(0)), (SECTORS, u64(disk.sectors)),
                 (SECTOR_SIZE, u32(disk.sector_size)), (PHYS, u32(disk.phys)),
                 (INFO_BITS, u32(disk.info)), (CAN, u64(disk.can))]
        if disk.is_open:
            attrs.append((NBD_PATH, b'/nbd'))
        if disk.params:
            attrs.append((PARAMS, disk.params.encode()))
        self.send(client, INFO, request, minor, REPLY, 0, *attrs)

    def send_rings(self, client, kind, request, minor):
        for (domid, devid), ring in self.rings.items():
            if minor in (NONE, ring['minor']):
                self.send(client, kind, request, ring['minor'], REPLY | MORE, 0,
                          (DOMID, u32(domid)), (DEVID, u32(devid)), (PROTO, u32(ring['proto'])),
                          (RING_STATE, u32(ring['state'])),
                          *[(QUEUE, struct.pack('<II%dI' % len(refs), order, port, *refs))
                            for order, port, refs in ring['queues']])
        self.send(client, kind, request, minor, REPLY, 0)

    def connect(self, client, request, minor, attrs, error):
        values = dict(attrs)
        name = (struct.unpack('<I', values[DOMID])[0], struct.unpack('<I', values[DEVID])[0])
        if name in self.rings:
            error(errno.EALREADY, 'is served')
            return
        queues = []
        for tag, value in attrs:
            if tag == QUEUE:
                numbers = struct.unpack('<%dI' % (len(value) // 4), value)
                assert len(numbers) == 2 + (1 << numbers[0])
                queues.append((numbers[0], numbers[1], list(numbers[2:])))
        self.rings[name] = {
            'minor': minor, 'queues': queues, 'state': 1,
            'proto': struct.unpack('<I', values[PROTO])[0],
            'flags': struct.unpack('<I', values[FLAGS])[0],
            'indirect': struct.unpack('<I', values[INDIRECT])[0],
            'poll': struct.unpack('<II', values[POLL]),
            'features': struct.unpack('<Q', values.get(FEATURES, bytes(8)))[0]}
        self.send(client, CONNECT, request, minor, REPLY, 0)

    def event(self, minor, kind):
        with self.lock:
            for client in list(self.clients):
                self.send(client, NOTICE, 0, minor, EVENT, 0, (KIND, u32(kind)))
