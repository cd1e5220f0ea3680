#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The stand-in for xenstored does what programs rely on."""
import errno
import os
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xenstore import Xenstored  # noqa: E402


class XenstoredDouble(unittest.TestCase):
    def setUp(self):
        self.xenstored = Xenstored()
        self.addCleanup(self.xenstored.__exit__)
        self.store = self.xenstored.connect()
        self.addCleanup(self.store.close)

    def cut_off(self, store):
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            store.read('/x')
        store.close()

    def refused(self, number, call, *arguments, **named):
        with self.assertRaises(OSError) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.errno, number)

    def test_nodes_are_written_read_listed_and_removed(self):
        self.store.write('/a/b/c', 'value')
        self.store.write('/a/empty', '')
        self.store.mkdir('/a/dir')
        self.store.mkdir('/a/b/c')  # leaves the value alone
        self.assertEqual(self.store.read('/a/b/c'), 'value')
        self.assertEqual(self.store.read('/a/b'), '')
        self.assertEqual(sorted(self.store.ls('/a')), ['b', 'dir', 'empty'])
        self.store.rm('/a/b')
        self.assertIsNone(self.store.get('/a/b/c'))
        self.store.rm('/a/none')  # under a parent that is there
        self.refused(errno.ENOENT, self.store.rm, '/x/none')
        self.refused(errno.ENOENT, self.store.read, '/a/b/c')
        self.refused(errno.EINVAL, self.store.read, '/a//b')
        self.refused(errno.EINVAL, self.store.read, '/a/ b')

    def test_relative_paths_belong_to_the_domain(self):
        self.store.write('backend/vbd3', 'x')
        self.assertEqual(self.store.read('/local/domain/0/backend/vbd3'), 'x')
        self.store.watch('backend', 'b')
        self.assertEqual(self.store.event(), ('backend', 'b'))
        self.store.write('/local/domain/0/backend/vbd3/5', '')
        self.assertEqual(self.store.event(), ('backend/vbd3/5', 'b'))

    def test_watches_fire_at_once_and_for_all_below(self):
        self.store.watch('/a', 't')
        self.assertEqual(self.store.event(), ('/a', 't'))
        self.refused(errno.EEXIST, self.store.watch, '/a', 't')
        with self.xenstored.connect() as other:
            other.write('/a/b', '1')
            self.assertEqual(self.store.event(), ('/a/b', 't'))
            other.write('/ab', '1')
            other.write('/a/b', '1')
            self.assertEqual(self.store.event(), ('/a/b', 't'))
            self.store.watch('/a/b/c/state', 's')
            self.assertEqual(self.store.event(), ('/a/b/c/state', 's'))
            other.rm('/a/b')
            self.assertEqual(sorted([self.store.event(), self.store.event()]),
                             [('/a/b', 't'), ('/a/b/c/state', 's')])
        self.store.unwatch('/a', 't')
        self.refused(errno.ENOENT, self.store.unwatch, '/a', 't')
        self.store.write('/a/q', '1')
        self.assertEqual(self.store.events, [])

    def test_transactions_are_atomic(self):
        with self.xenstored.connect() as other:
            other.watch('/t', 'w')
            other.event()
            tx = self.store.start()
            self.store.write('/t/x', '1', tx)
            self.assertEqual(self.store.read('/t/x', tx), '1')
            self.assertIsNone(other.get('/t/x'))
            self.store.end(tx)
            self.assertEqual(other.event(), ('/t/x', 'w'))
            tx = self.store.start()
            self.store.write('/t/x', '2', tx)
            self.store.end(tx, commit=False)
            self.assertEqual(other.read('/t/x'), '1')
            self.refused(errno.ENOENT, self.store.read, '/t/x', tx=tx)

    def test_transactions_conflict_on_what_they_saw(self):
        self.store.write('/t/x', '1')
        with self.xenstored.connect() as other:
            for change in (lambda: other.write('/t/x', '2'), lambda: other.rm('/t')):
                tx = self.store.start()
                self.store.get('/t/x', tx)
                self.store.write('/elsewhere', '1', tx)
                change()
                self.refused(errno.EAGAIN, self.store.end, tx)
            self.assertIsNone(self.store.get('/elsewhere'))
            self.store.mkdir('/mine')
            tx = self.store.start()
            self.store.write('/mine/x', '1', tx)
            other.write('/theirs/x', '1')
            self.store.end(tx)

    def test_guests_are_held_to_permissions(self):
        self.store.write('/local/domain/5/device', '')
        self.store.set_perms('/local/domain/5/device', 'n5', 'r0')
        self.store.write('/backend/state', '2')
        self.store.set_perms('/backend', 'n0', 'r5')
        self.store.set_perms('/backend/state', 'n0', 'r5')
        with self.xenstored.guest(5) as guest:
            guest.write('device/state', '3')
            self.assertEqual(self.store.perms('/local/domain/5/device/state'), ['n5', 'r0'])
            self.assertEqual(guest.read('/backend/state'), '2')
            self.refused(errno.EACCES, guest.write, '/backend/state', '5')
            self.refused(errno.EACCES, guest.write, '/local/domain/6/x', '5')
            self.refused(errno.EACCES, guest.control, 'drop')

    def test_domains_come_and_go(self):
        self.store.watch('@releaseDomain', 'r')
        self.store.event()
        guest = self.xenstored.guest(7)
        self.store.release(7)
        self.assertEqual(self.store.event(), ('@releaseDomain', 'r'))
        self.cut_off(guest)
        self.refused(errno.ENOENT, self.store.release, 7)

    def test_faults_are_injected(self):
        self.store.control('fail', 'eagain', 2)
        self.store.write_all('/many', {'a': 1, 'b': 2})
        self.assertEqual(self.store.counts()['commits'], 3)
        self.store.control('fail', 'quota', 1, 1)
        self.store.write('/q', '1')
        self.refused(errno.ENOSPC, self.store.write, '/q', '2')
        self.store.write('/q', '3')
        with self.xenstored.connect() as other:
            self.assertEqual(other.read('/q'), '3')
            self.store.control('drop')
            self.cut_off(other)

    def test_big_directories_come_in_parts(self):
        for i in range(600):
            self.store.write('/big/entry-%04d' % i, '')
        self.refused(errno.E2BIG, self.store.ls, '/big')
        if shutil.which('xenstore-list'):
            listed = subprocess.run(['xenstore-list', '/big'], check=True, capture_output=True,
                                    env=dict(os.environ, **self.xenstored.env))
            self.assertEqual(len(listed.stdout.split()), 600)

    @unittest.skipUnless(shutil.which('xenstore-write'), 'xenstore-utils are not installed')
    def test_libxenstore_speaks_with_it(self):
        def run(*words):
            return subprocess.run(words, check=True, stdout=subprocess.PIPE,
                                  env=dict(os.environ, **self.xenstored.env)).stdout.decode()
        run('xenstore-write', '/lib/a', 'x', '/lib/b', 'y')
        self.assertEqual(run('xenstore-read', '/lib/a', '/lib/b'), 'x\ny\n')
        self.assertEqual(run('xenstore-list', '/lib'), 'a\nb\n')
        run('xenstore-chmod', '/lib/a', 'n5', 'r6')
        self.assertEqual(self.store.perms('/lib/a'), ['n5', 'r6'])
        run('xenstore-rm', '/lib')
        self.assertIsNone(self.store.get('/lib'))


if __name__ == '__main__':
    unittest.main()
