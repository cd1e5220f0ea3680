# SPDX-License-Identifier: BSD-2-Clause
"""cbt-util: every command against a model of the file, and files that are not what they should be.

CBT_SEED repeats a run.
"""
import errno
import os
import random
import shutil
import stat
import struct
import subprocess
import tempfile
import time
import unittest

PROGRAM = shutil.which("cbt-util")
BLOCK = 65536
HEADER = 48
NIL = "00000000-0000-0000-0000-000000000000"
UUID = "9f3c1a52-6c1e-4b0e-8a57-1f6f0f0c2d11"
OTHER = "11111111-2222-3333-4444-555555555555"


def blocks(size):
    """Blocks of a disk."""
    return -(-size // BLOCK)


def bitmap_bytes(size):
    """Bytes of its bitmap."""
    return -(-blocks(size) // 8)


def bitmap(size, wanted):
    """The bitmap of a disk on which the blocks of wanted are set."""
    out = bytearray(bitmap_bytes(size))
    for block in wanted:
        out[block // 8] |= 1 << block % 8
    return bytes(out)


class CbtUtil(unittest.TestCase):
    """A folder for each test."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = self.path("disk.cbt")

    def path(self, name):
        """A name in the folder."""
        return os.path.join(self.folder.name, name)

    def run_tool(self, *words, status=0):
        """What it prints."""
        done = subprocess.run([PROGRAM, *words], capture_output=True, check=False)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        if status:
            self.assertNotEqual(done.stderr, b"", words)
        else:
            self.assertEqual(done.stderr, b"", words)
        return done.stdout

    def get(self, item, name=None):
        """One item of the file."""
        return self.run_tool("get", "-n", name or self.file, item)

    def create(self, size, name=None):
        """A new file."""
        self.assertEqual(self.run_tool("create", "-n", name or self.file, "-s", str(size)), b"")

    def write(self, size, bits, flag=0, name=None, tail=b""):
        """A file without the tool."""
        with open(name or self.file, "wb") as file:
            file.write(bytes(32) + struct.pack("<iiQ", flag, 0, size) + bits + tail)

    def content(self, name=None):
        """All bytes of the file."""
        with open(name or self.file, "rb") as file:
            return file.read()


class Create(CbtUtil):
    """create"""

    def test_a_new_file_has_nothing_in_it(self):
        for size in (1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 8 * BLOCK, 8 * BLOCK + 1, 10 << 30):
            self.create(size)
            self.assertEqual(
                self.content(),
                bytes(40) + struct.pack("<Q", size) + bytes(bitmap_bytes(size)), size)
            self.assertEqual(self.get("-p"), NIL.encode() + b"\n")
            self.assertEqual(self.get("-c"), NIL.encode() + b"\n")
            self.assertEqual(self.get("-f"), b"0\n")
            self.assertEqual(self.get("-s"), b"%d\n" % size)
            self.assertEqual(self.get("-b"), bytes(bitmap_bytes(size)))
        self.assertEqual(os.listdir(self.folder.name), ["disk.cbt"])

    def test_a_file_is_replaced_at_once_and_a_link_is_kept(self):
        self.write(BLOCK, b"\x01")
        link = self.path("link")
        os.symlink("disk.cbt", link)
        with open(self.file, "rb") as before:
            self.create(2 * BLOCK, link)
            self.assertEqual(before.read()[HEADER:], b"\x01", "the old file was written to")
        self.assertTrue(os.path.islink(link))
        self.assertEqual(self.get("-s"), b"%d\n" % (2 * BLOCK))
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["disk.cbt", "link"])

    def test_what_is_no_file_is_left_alone(self):
        os.mkfifo(self.path("fifo"))
        self.run_tool("create", "-n", self.path("fifo"), "-s", "1", status=errno.EINVAL)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))
        self.run_tool("create", "-n", self.folder.name, "-s", "1", status=errno.EINVAL)
        self.run_tool("create", "-n", self.path("no/where"), "-s", "1", status=errno.ENOENT)

    def test_a_huge_disk_needs_no_memory_and_little_room(self):
        self.create(1 << 56)
        self.assertEqual(os.stat(self.file).st_size, HEADER + (1 << 37))
        self.assertLess(os.stat(self.file).st_blocks, 1024)
        self.assertEqual(self.get("-s"), b"%d\n" % (1 << 56))

    def test_no_size_is_too_much_to_be_refused(self):
        for size in ("0", "-1", "+1", " 1", "1 ", "1k", "0x10", "", "9223372036854775808",
                     "18446744073709551617", "99999999999999999999999"):
            self.run_tool("create", "-n", self.file, "-s", size, status=errno.EINVAL)
        # The bitmap of the largest disk of all is larger than some file systems take.
        done = subprocess.run([PROGRAM, "create", "-n", self.file, "-s", str(2**63 - 1)],
                              capture_output=True, check=False)
        self.assertIn(done.returncode, (0, errno.EFBIG, errno.EINVAL))
        self.assertLessEqual(len(os.listdir(self.folder.name)), 1)


class Set(CbtUtil):
    """set"""

    def test_each_item_is_changed_alone(self):
        bits = b"\x05\xa0\x01"
        self.write(17 * BLOCK, bits)
        self.run_tool("set", "-n", self.file, "-p", UUID)
        self.run_tool("set", "-n", self.file, "-c", OTHER.upper())
        self.run_tool("set", "-n", self.file, "-f", "1")
        self.assertEqual(self.get("-p"), UUID.encode() + b"\n")
        self.assertEqual(self.get("-c"), OTHER.encode() + b"\n")
        self.assertEqual(self.get("-f"), b"1\n")
        self.assertEqual(self.get("-s"), b"%d\n" % (17 * BLOCK))
        self.assertEqual(self.get("-b"), bits)
        self.run_tool("set", "-n", self.file, "-f", "0", "-p", NIL, "-c", NIL)
        self.write(17 * BLOCK, bits, name=self.path("expected"))
        self.assertEqual(self.content(), self.content(self.path("expected")))

    def test_bytes_are_those_of_the_uuid(self):
        self.create(1)
        self.run_tool("set", "-n", self.file, "-p", UUID, "-c", OTHER, "-f", "1")
        self.assertEqual(
            self.content(),
            bytes.fromhex(UUID.replace("-", "")) + bytes.fromhex(OTHER.replace("-", "")) +
            struct.pack("<iiQ", 1, 0, 1) + b"\0")

    def test_nonsense_changes_nothing(self):
        self.write(BLOCK, b"\x01")
        before = self.content()
        for words in (("-p", ""), ("-p", UUID[:-1]), ("-p", UUID + "0"), ("-c", "x" * 36),
                      ("-c", UUID.replace("-", "")), ("-f", "2"), ("-f", ""), ("-f", "01"),
                      ("-s", "0"), ("-s", "x"), ("-s", "65535"), ("-f", "1", "-s", "1"),
                      ("-p", UUID, "-f", "x"), ("-f", "1", "more"), ("-x",), ("-f",), ()):
            self.run_tool("set", "-n", self.file, *words, status=errno.EINVAL)
            self.assertEqual(self.content(), before, words)
        self.run_tool("set", "-f", "1", status=errno.EINVAL)

    def test_growth_sets_the_new_bits(self):
        for old in (1, 3, 7, 8, 9, 16, 1000):
            for new in (old, old + 1, old + 7, old + 8, old + 600000):
                wanted = {0} if old > 1 else set()
                self.write(old * BLOCK, bitmap(old * BLOCK, wanted))
                self.run_tool("set", "-n", self.file, "-s", str(new * BLOCK))
                self.assertEqual(self.get("-s"), b"%d\n" % (new * BLOCK))
                self.assertEqual(self.get("-b"), bitmap(new * BLOCK, wanted | set(range(old, new))),
                                 (old, new))

    def test_a_block_that_was_there_in_part_counts_as_new(self):
        self.write(2 * BLOCK + 512, bitmap(3 * BLOCK, ()))
        self.run_tool("set", "-n", self.file, "-s", str(2 * BLOCK + 512))
        self.assertEqual(self.get("-b"), b"\0")
        self.run_tool("set", "-n", self.file, "-s", str(2 * BLOCK + 1024))
        self.assertEqual(self.get("-b"), b"\x04")
        self.run_tool("set", "-n", self.file, "-s", str(9 * BLOCK))
        self.assertEqual(self.get("-b"), bitmap(9 * BLOCK, range(2, 9)))

    def test_what_is_behind_the_bitmap_is_no_old_bit(self):
        self.write(3 * BLOCK, b"\x02", tail=b"\x55" * 100)
        self.run_tool("set", "-n", self.file, "-s", str(80 * BLOCK))
        self.assertEqual(self.get("-b"), bitmap(80 * BLOCK, {1} | set(range(3, 80))))

    def test_growth_without_room_changes_nothing(self):
        self.write(BLOCK, b"\x01")
        before = self.content()
        # SIGXFSZ stays ignored, as Python has it.
        done = subprocess.run(["prlimit", "--fsize=1048576", PROGRAM, "set", "-n", self.file,
                               "-s", str(1 << 40)],
                              capture_output=True, check=False, restore_signals=False)
        self.assertEqual(done.returncode, errno.EFBIG, done)
        self.assertEqual(self.content(), before)


class Coalesce(CbtUtil):
    """coalesce"""

    def test_the_parents_bits_are_added(self):
        seed = int(os.environ.get("CBT_SEED", time.time()))
        rand = random.Random(seed)
        parent, child = self.path("parent"), self.path("child")
        for size in (1, 8 * BLOCK, 9 * BLOCK, 600000 * BLOCK):
            larger = size + rand.choice((0, BLOCK, 64 * BLOCK))
            below = rand.randbytes(bitmap_bytes(size))
            above = rand.randbytes(bitmap_bytes(larger))
            self.write(size, below, 1, parent)
            self.write(larger, above, 1, child)
            self.run_tool("set", "-n", child, "-p", UUID)
            head = self.content(child)[:HEADER]
            self.run_tool("coalesce", "-p", parent, "-c", child)
            merged = bytes(a | b for a, b in zip(above, below.ljust(len(above), b"\0")))
            self.assertEqual(self.content(child), head + merged, (seed, size))
            self.assertEqual(self.get("-b", parent), below, (seed, size))

    def test_a_larger_parent_is_refused(self):
        parent, child = self.path("parent"), self.path("child")
        self.write(9 * BLOCK, b"\xff\x01", name=parent)
        self.write(8 * BLOCK, b"\0", name=child)
        self.run_tool("coalesce", "-p", parent, "-c", child, status=errno.EINVAL)
        self.assertEqual(self.get("-b", child), b"\0")
        # What counts is the bitmap.
        self.write(7 * BLOCK, b"\0", name=child)
        self.write(8 * BLOCK, b"\x81", name=parent)
        self.run_tool("coalesce", "-p", parent, "-c", child)
        self.assertEqual(self.get("-b", child), b"\x81")

    def test_bad_usage(self):
        self.create(1)
        for words in ((), ("-p", self.file), ("-c", self.file), ("-p", self.file, "-c"),
                      ("-p", self.file, "-c", self.file, "more")):
            self.run_tool("coalesce", *words, status=errno.EINVAL)
        self.run_tool("coalesce", "-p", self.file, "-c", self.path("no"), status=errno.ENOENT)
        self.run_tool("coalesce", "-p", self.path("no"), "-c", self.file, status=errno.ENOENT)
        self.run_tool("coalesce", "-p", self.file, "-c", self.file)


class Damage(CbtUtil):
    """Files that are not what they should be."""

    def refused(self, content, why):
        """No command works on such a file, and none changes it."""
        with open(self.file, "wb") as file:
            file.write(content)
        good = self.path("good")
        self.create(BLOCK, good)
        for item in ("-p", "-c", "-f", "-s", "-b"):
            self.run_tool("get", "-n", self.file, item, status=errno.EINVAL)
        self.run_tool("set", "-n", self.file, "-f", "1", status=errno.EINVAL)
        self.run_tool("set", "-n", self.file, "-s", str(1 << 40), status=errno.EINVAL)
        self.run_tool("coalesce", "-p", self.file, "-c", good, status=errno.EINVAL)
        self.run_tool("coalesce", "-p", good, "-c", self.file, status=errno.EINVAL)
        self.assertEqual(self.content(), content, why)

    def test_a_truncated_file_at_every_length(self):
        self.write(40 * BLOCK, b"\xff" * 5)
        whole = self.content()
        for length in range(len(whole)):
            self.refused(whole[:length], length)
            if length == 4:  # what comes is more of the same
                break
        for length in (31, 32, 35, 36, 40, 47, 48, 52):
            self.refused(whole[:length], length)

    def test_headers_that_make_no_sense(self):
        for flag, size in ((2, BLOCK), (-1, BLOCK), (0, 0), (0, 2**63), (0, 2**64 - 1),
                           (0, 2**62), (1, 9 * BLOCK)):
            self.refused(bytes(32) + struct.pack("<iiQ", flag, 0, size) + b"\0", (flag, size))

    def test_what_is_no_file(self):
        os.mkfifo(self.path("fifo"))
        for name, status in ((self.folder.name, errno.EINVAL), (self.path("fifo"), errno.EINVAL),
                             ("/dev/null", errno.EINVAL), (self.path("no"), errno.ENOENT)):
            self.run_tool("get", "-n", name, "-s", status=status)
            self.run_tool("set", "-n", name, "-f", "1", status=status)


class Usage(CbtUtil):
    """Words that it knows, and words that it does not."""

    def test_help_is_on_standard_output(self):
        text = (b"usage: cbt-util COMMAND [OPTIONS]\n"
                b"COMMAND := { create | get | set | coalesce }\n")
        for words in ((), ("help",), ("-h",), ("--help",)):
            self.assertEqual(self.run_tool(*words), text)
        self.assertEqual(self.run_tool("frob", status=errno.EINVAL), text)
        for command in ("create", "get", "set", "coalesce"):
            usage = self.run_tool(command, "-h")
            self.assertTrue(usage.startswith(b"usage: cbt-util " + command.encode()))
            self.assertEqual(self.run_tool(command, status=errno.EINVAL), usage)

    def test_get_takes_one_item(self):
        self.create(1)
        for words in ((), ("-p", "-c"), ("-b", "-s"), ("-x",), ("-b", "more")):
            self.run_tool("get", "-n", self.file, *words, status=errno.EINVAL)
        self.run_tool("get", "-s", status=errno.EINVAL)
        self.assertEqual(self.run_tool("get", "-sn", self.file), b"1\n")

    def test_an_output_that_is_full_is_an_error(self):
        self.create(1)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "get", "-n", self.file, "-s"], stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, errno.ENOSPC)
        self.assertNotEqual(done.stderr, b"")


if __name__ == "__main__":
    unittest.main()
