# SPDX-License-Identifier: BSD-2-Clause
"""A tapdisk that knows only the legacy protocol: one message of 544 bytes per connection.

Run as a program, "legacy_tapdisk.py DIR [MARKER]": serves minor 3, with its marker locked, until it is
killed, so that tests can kill it.
"""
import errno
import fcntl
import struct
import sys

import fake_tapdisk

BYTES = 544
(ERROR, PID, CONNECT, CONNECTED, DISCONNECT, DISCONNECTED, DISK_INFO, DISK_INFO_RSP) = (
    1, 3, 24, 25, 26, 27, 28, 29)


class LegacyTapdisk(fake_tapdisk.FakeTapdisk):
    """dying: how often a ring is still there after a disconnect has been accepted."""

    def __init__(self, rundir):
        self.dying, self.leaving = 0, {}
        self.connections = 0
        super().__init__(rundir)

    def receive(self, client):
        data = self.clients[client]
        try:
            data += client.recv(BYTES - len(data))
        except OSError:
            pass
        if len(data) == BYTES:
            self.connections += 1
            kind, minor = struct.unpack_from('=HH', data)
            with self.lock:
                self.calls.append(kind)
                self.answer_message(client, kind, minor, data)
                self.changed.notify_all()
        if len(data) in (len(self.clients[client]), BYTES):
            self.selector.unregister(client)
            with self.lock:
                del self.clients[client]
                client.close()
                self.changed.notify_all()
        else:
            self.clients[client] = data

    def say(self, client, kind, minor, body=b''):
        try:
            client.sendall((struct.pack('=HHI', kind, minor, 0) + body).ljust(BYTES, b'\0'))
        except OSError:
            pass

    def refuse_message(self, client, minor, number, text):
        self.say(client, ERROR, minor, struct.pack('=i', number) + text.encode())

    def answer_message(self, client, kind, minor, data):
        ring = struct.unpack_from('=II8III', data, 8)
        if kind == PID:
            self.say(client, PID + 1, minor, struct.pack('=i', self.pid))
        elif kind == DISK_INFO and minor in self.disks:
            disk = self.disks[minor]
            self.say(client, DISK_INFO_RSP, minor,
                     struct.pack('=QII', disk.sectors, disk.sector_size, disk.info))
        elif kind == DISK_INFO:
            self.refuse_message(client, minor, errno.ENODEV, 'no such disk')
        elif kind == CONNECT:
            self.connect_message(client, minor, ring, data)
        elif kind == DISCONNECT:
            self.disconnect_message(client, minor, ring[:2])
        else:
            self.refuse_message(client, minor, errno.EINVAL, 'unknown message')

    def connect_message(self, client, minor, ring, data):
        name, grefs, order, proto = ring[:2], ring[2:10], ring[10], ring[11]
        port, poll, idle = struct.unpack_from('=III', data, 312)
        if name in self.rings:
            self.refuse_message(client, minor, errno.EALREADY, 'is served')
        elif order > 3 or name in self.leaving:
            self.refuse_message(client, minor, errno.EINVAL, 'wrong')
        else:
            self.rings[name] = {'minor': minor, 'queues': [(order, port, list(grefs[:1 << order]))],
                                'proto': proto, 'poll': (poll, idle)}
            self.say(client, CONNECTED, minor)

    def disconnect_message(self, client, minor, name):
        if name in self.rings:
            del self.rings[name]
            self.leaving[name] = self.dying
            self.say(client, DISCONNECTED, minor)
        elif self.leaving.get(name, 0) > 0:
            self.leaving[name] -= 1
            self.say(client, DISCONNECTED, minor)
        else:
            self.leaving.pop(name, None)
            self.refuse_message(client, minor, errno.ENODEV, 'no such ring')


if __name__ == '__main__':
    tapdisk = LegacyTapdisk(sys.argv[1])
    tapdisk.disks[3] = fake_tapdisk.Disk(524288)
    if len(sys.argv) > 2:
        marker = open(sys.argv[2], 'rb')
        fcntl.flock(marker, fcntl.LOCK_EX)
    print(tapdisk.pid, flush=True)
    tapdisk.thread.join()
