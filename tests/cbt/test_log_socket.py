# SPDX-License-Identifier: BSD-2-Clause
"""The log in memory: its messages, split and hostile, and what a client is told is dirty.

LOG_URI, LOG_NAME and LOG_SECTORS describe the disk; LOG_SEED repeats a run.
"""
import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest

MESSAGE = 20
HALF = 4 << 20
EXTENTS = HALF // 16
RING = HALF
ENTRIES = RING + 64
DATA = HALF - 4096
URI = os.environ["LOG_URI"]
NAME = os.environ["LOG_NAME"]
SECTORS = int(os.environ["LOG_SECTORS"])
SOCKET = "/var/run/tap/log_%s.ctl" % NAME[NAME.rindex("/"):].replace("/", "_").replace(":", "_")
SHM = "/dev/shm/log_%s.wlog" % NAME.replace("/", "_").replace(":", "_")


def qemu_io(*commands):
    """Requests to the disk."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["qemu-io", "-f", "raw", *words, URI], capture_output=True, check=True)
    if b"failed" in done.stdout + done.stderr:
        raise AssertionError(done)


def write(sector, sectors):
    """A write to the disk."""
    qemu_io("write %d %d" % (sector * 512, sectors * 512))


def zero_sectors(sectors):
    """Many requests of one sector each, over a connection of our own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(URI[URI.index("=") + 1:])
        sock.recv(18, socket.MSG_WAITALL)
        # No zeroes after the answer; option EXPORT_NAME, of no bytes.
        sock.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
        sock.recv(10, socket.MSG_WAITALL)
        for at in range(0, len(sectors), 200):
            batch = sectors[at:at + 200]
            # WRITE_ZEROES
            sock.sendall(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, 6, 0, sector * 512, 512)
                                  for sector in batch))
            answers = sock.recv(16 * len(batch), socket.MSG_WAITALL)
            if answers != struct.pack(">IIQ", 0x67446698, 0, 0) * len(batch):
                raise AssertionError(answers)


class Client:
    """A connection to the socket of the log."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(SOCKET)

    def close(self):
        """Leave."""
        self.sock.close()

    def send(self, word, split=False):
        """A message, in one piece or byte by byte."""
        message = word + bytes(MESSAGE - len(word))
        if split:
            for byte in message:
                self.sock.sendall(bytes([byte]))
        else:
            self.sock.sendall(message)

    def receive(self, count):
        """So many bytes, or all until the end."""
        got = b""
        while len(got) < count:
            try:
                more = self.sock.recv(count - len(got))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            got += more
        return got

    def ask(self, word, answer=b"done", split=False):
        """A message and its answer."""
        self.send(word, split)
        got = self.receive(MESSAGE)
        if got != answer + bytes(MESSAGE - len(answer)):
            raise AssertionError((word, got))

    def extents(self, word=b"peek"):
        """What is dirty, as the tapdisk says."""
        self.ask(word)
        with open(SHM, "rb") as shm:
            raw = shm.read(HALF)
        found = []
        for at in range(0, HALF, 16):
            sector, count, padding = struct.unpack_from("=QII", raw, at)
            if padding:
                raise AssertionError("padding")
            if not count:
                return found
            found.append((sector, count))
        raise AssertionError("no end")


@contextlib.contextmanager
def connected():
    """A client that has asked for the shared memory."""
    client = Client()
    try:
        client.send(b"shmp")
        client.shm = client.receive(256)
        yield client
    finally:
        client.close()


def put(at, raw):
    """Into the shared memory."""
    with open(SHM, "r+b") as shm:
        shm.seek(at)
        shm.write(raw)


def get(at, count):
    """Out of the shared memory."""
    with open(SHM, "rb") as shm:
        shm.seek(at)
        return shm.read(count)


class LogSocket(unittest.TestCase):
    """Everything over one disk."""

    def setUp(self):
        with connected() as client:
            client.ask(b"clrw")

    def refused(self, client):
        """The connection was closed."""
        self.assertEqual(client.receive(MESSAGE), b"")

    def test_shmp_names_the_memory(self):
        with connected() as client:
            length, = struct.unpack_from("=I", client.shm)
            name = client.shm[4:4 + length]
            self.assertEqual("/dev/shm" + name.decode(), SHM)
            self.assertEqual(client.shm[4 + length:], bytes(252 - length))
            self.assertEqual(get(0, 4), struct.pack("=I", 0xdeadbeef))
            self.assertEqual(os.stat(SHM).st_mode & 0o777, 0o600)
            self.assertEqual(os.stat(SHM).st_size, 2 * HALF)
        self.assertEqual(os.stat(SOCKET).st_mode & 0o777, 0o600)

    def test_peek_get_and_clear(self):
        with connected() as client:
            self.assertEqual(client.extents(), [])
            write(100, 8)
            write(108, 1)
            write(0, 1)
            write(SECTORS - 1, 1)
            expected = [(0, 1), (100, 9), (SECTORS - 1, 1)]
            self.assertEqual(client.extents(), expected)
            self.assertEqual(client.extents(), expected)
            self.assertEqual(client.extents(b"getw"), expected)
            self.assertEqual(client.extents(), [])
            write(7, 1)
            client.ask(b"clrw")
            self.assertEqual(client.extents(), [])

    def test_discards_and_zeroes_count_and_reads_do_not(self):
        with connected() as client:
            qemu_io("read 0 64k", "discard 64k 64k", "write -z 512k 64k", "flush")
            self.assertEqual(client.extents(), [(128, 128), (1024, 128)])

    def test_a_model(self):
        seed = int(os.environ.get("LOG_SEED", time.time()))
        rand = random.Random(seed)
        dirty = set()
        with connected() as client:
            for _ in range(20):
                commands = []
                for _ in range(20):
                    sector = rand.randrange(SECTORS - 64)
                    count = rand.randrange(1, 64)
                    commands.append("write %d %d" % (sector * 512, count * 512))
                    dirty.update(range(sector, sector + count))
                qemu_io(*commands)
                found = client.extents(rand.choice((b"peek", b"getw")))
                listed = {s + i for s, n in found for i in range(n)}
                self.assertEqual(listed, dirty, seed)
                self.assertEqual(sum(n for _, n in found), len(dirty), seed)
                if client.extents() == []:
                    dirty = set()

    def test_more_than_the_list_holds_stays_dirty(self):
        # Every second sector: one extent each.
        count = EXTENTS + 1000
        zero_sectors(range(0, 2 * count, 2))
        with connected() as client:
            first = client.extents(b"getw")
            self.assertEqual(len(first), EXTENTS - 1)
            self.assertEqual(first, [(2 * i, 1) for i in range(EXTENTS - 1)])
            rest = client.extents(b"getw")
            self.assertEqual(rest, [(2 * i, 1) for i in range(EXTENTS - 1, count)])
            self.assertEqual(client.extents(), [])

    def test_messages_in_single_bytes(self):
        write(3, 1)
        with connected() as client:
            client.ask(b"peek", split=True)
            client.ask(b"kick", b"kick", split=True)
            client.send(b"shmp", split=True)
            self.assertEqual(client.receive(256), client.shm)
            client.ask(b"clrw", split=True)
            # And several in one piece: an answer each, in order.
            client.sock.sendall((b"clrw" + bytes(16)) * 50 + b"kick" + bytes(16))
            self.assertEqual(client.receive(50 * MESSAGE), (b"done" + bytes(16)) * 50)
            self.assertEqual(client.receive(MESSAGE), b"kick" + bytes(16))

    def test_a_client_that_does_not_read_is_alone_with_it(self):
        with connected() as client:
            client.sock.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                while True:
                    client.sock.sendall((b"shmp" + bytes(16)) * 1000)
            write(1, 1)
            client.sock.settimeout(60)
            self.assertEqual(client.receive(256), client.shm)
        with connected() as client:
            self.assertEqual(client.extents(), [(1, 1)])

    def test_a_second_client_is_turned_away(self):
        with connected() as client:
            other = Client()
            self.assertEqual(other.receive(1), b"")
            other.close()
            client.ask(b"peek")

    def test_a_client_that_leaves_in_a_message_is_forgotten(self):
        for length in range(MESSAGE):
            with connected() as client:
                client.sock.sendall((b"clrw" + bytes(16))[:length])
        write(1, 1)
        with connected() as client:
            self.assertEqual(client.extents(), [(1, 1)])

    def test_other_words_end_the_connection(self):
        for word in (b"", b"PEEK", b"pee", b"\xff\xff\xff\xff", b"done"):
            with connected() as client:
                client.send(word)
                self.refused(client)

    def test_the_ring_answers_in_place(self):
        with connected() as client:
            self.assertEqual(get(RING, 16), struct.pack("=IIII", 0, 1, 0, 1))
            produced = 0
            for count in (1, 3, 128, 60, 128):
                entries = []
                for i in range(count):
                    entry = struct.pack("=QII", i, 8, i * 4096 % (DATA - 4096))
                    put(ENTRIES + (produced + i) % 128 * 16, entry)
                    entries.append(entry)
                produced += count
                put(RING, struct.pack("=I", produced))
                client.ask(b"kick", b"kick")
                self.assertEqual(get(RING + 8, 4), struct.pack("=I", produced))
                for i in range(count):
                    self.assertEqual(get(ENTRIES + (produced - count + i) % 128 * 16, 16),
                                     entries[i])
        with connected() as client:
            self.assertEqual(get(RING, 16), struct.pack("=IIII", 0, 1, 0, 1), "a ring anew")

    def test_entries_out_of_range_are_answered_with_nothing(self):
        bad = [(SECTORS, 1, 0), (SECTORS - 1, 2, 0), (2**64 - 1, 1, 0), (2**64 - 1, 2**32 - 1, 0),
               (0, 2**32 - 1, 0), (0, 1, DATA), (0, 1, DATA - 511), (0, 1, 2**32 - 1),
               (0, DATA // 512 + 1, 0)]
        good = [(SECTORS - 1, 1, 0), (0, 1, DATA - 512), (0, 0, 0), (0, DATA // 512, 0)]
        with connected() as client:
            for i, (entry, counts) in enumerate([(e, False) for e in bad] +
                                                [(e, True) for e in good]):
                put(ENTRIES + i * 16, struct.pack("=QII", *entry))
                put(RING, struct.pack("=I", i + 1))
                client.ask(b"kick", b"kick")
                expected = entry if counts else (entry[0], 0, entry[2])
                self.assertEqual(struct.unpack("=QII", get(ENTRIES + i * 16, 16)), expected)

    def test_indexes_that_run_ahead_end_the_connection(self):
        for produced in (129, 1000, 2**31, 2**32 - 1):
            with connected() as client:
                put(RING, struct.pack("=I", produced))
                client.send(b"kick")
                self.refused(client)

    def test_memory_that_was_cut_off_ends_the_connection_only(self):
        with connected() as client:
            with open(SHM, "r+b") as shm:
                shm.truncate(0)
                client.send(b"kick")
                self.refused(client)
                shm.truncate(2 * HALF)
        write(5, 1)
        with connected() as client:
            self.assertEqual(client.extents(), [(5, 1)])

    def test_the_program(self):
        program = shutil.which("tapdisk-client")

        def run(*words, status=0):
            done = subprocess.run([program, *words], capture_output=True, check=False)
            self.assertEqual(done.returncode, status, done)
            self.assertEqual(done.stdout, b"")
            return done.stderr

        write(10, 2)
        write(1000, 300)
        lines = b"log: dirty extent: 10:2\nlog: dirty extent: 1000:300\n"
        for words in ((), ("p",), ("r",), ("g",)):
            self.assertEqual(run(SOCKET, *words), lines)
        self.assertEqual(run(SOCKET), b"")
        write(10, 2)
        run(SOCKET, "c")
        self.assertEqual(run(SOCKET), b"")
        for words in ((), (SOCKET, "x"), (SOCKET, "pp"), (SOCKET, ""), (SOCKET, "p", "p"), ("-h",)):
            self.assertIn(b"usage: tapdisk-client <socket> [c|p|g|r]\n", run(*words, status=1))
        self.assertIn(b"No such file", run(SOCKET + "x", status=1))
        self.assertIn(b"too long", run("/" + "x" * 200, status=1))


if __name__ == "__main__":
    sys.exit(unittest.main())
