# SPDX-License-Identifier: BSD-2-Clause
"""Disks of tapdisks that know only the legacy protocol are connected and adopted, within its limits."""
import os
import signal
import subprocess
import sys
import unittest

from rig import Case, XVDA, backend, frontend
import fake_tapdisk
import legacy_tapdisk
from legacy_tapdisk import CONNECT, DISCONNECT, PID, LegacyTapdisk


class Legacy(Case):
    def setUp(self):
        super().setUp()
        self.tapdisk.stop()
        os.unlink(self.tapdisk.path)
        self.tapdisk = LegacyTapdisk(self.run)
        self.disk = self.tapdisk.disks[3] = fake_tapdisk.Disk(524288)
        self.start_tapback()

    def big_ring(self, domid, order):
        """Of one queue with 1 << order pages."""
        self.guest(domid, ring__page__order=order, event__channel=9, protocol='x86_64-abi',
                   **{'ring__ref%d' % page: 100 + page for page in range(1 << order)}, state=3)

    def test_attach_and_detach(self):
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.hotplug(1)
        self.big_ring(1, 3)
        self.wait_state(1, XVDA, 4)
        ring = self.tapdisk.rings[1, XVDA]
        self.assertEqual(ring, {'minor': 3, 'queues': [(3, 9, list(range(100, 108)))], 'proto': 3,
                                'poll': (0, 0)})
        # What it can do nobody knows, so nothing is promised.
        for name, value in {'sectors': '524288', 'sector-size': '512', 'info': '0',
                            'feature-barrier': '0', 'feature-flush-cache': '0',
                            'feature-discard': '0', 'feature-max-indirect-segments': '0',
                            'kthread-pid': str(self.tapdisk.pid)}.items():
            self.assertEqual(self.node(1, name), value, name)
        # The greeting, and its own language from then on.
        greetings = [kind for kind in self.tapdisk.calls if kind > 36]
        self.assertLessEqual(len(greetings), 2, 'one for the search of left rings, one for the disk')
        self.assertEqual(self.tapdisk.calls.count(PID), len(greetings))
        self.guest(1, state=4)
        self.detach(1)
        self.assertEqual(self.tapdisk.rings, {})

    def test_read_only(self):
        """The message cannot say so: the guest is told."""
        self.begin(1, mode='r')
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'info'), '4')

    def test_limits(self):
        """A guest that was offered more, before the tapdisk was known, is refused in words."""
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.assertEqual(self.node(1, 'max-ring-page-order'), '4')
        self.hotplug(1)
        self.big_ring(1, 4)
        self.wait_state(1, XVDA, 5)
        self.assertIn('ring-page-order', self.node(1, 'error'))
        self.close(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.assertEqual(self.node(1, 'max-ring-page-order'), '3')
        self.assertEqual(self.node(1, 'max-ring-pages'), '8')
        self.assertEqual(self.node(1, 'multi-queue-max-queues'), '1')
        self.assertEqual(self.node(1, 'feature-max-indirect-segments'), '0')
        self.big_ring(1, 3)
        self.wait_state(1, XVDA, 4)

    def test_the_ring_is_awaited(self):
        """A disconnect is accepted before the memory is let go: state 6 comes after that."""
        self.connect(1)
        self.tapdisk.dying = 3
        self.close(1)
        self.assertEqual(self.tapdisk.leaving, {})
        self.assertGreaterEqual(self.tapdisk.calls.count(DISCONNECT), 5)

    def test_adoption(self):
        """It lists no rings: that ours is there is learnt by connecting it again."""
        self.connect(1)
        self.barrier()
        self.stop_tapback(signal.SIGKILL)
        before = self.written(backend(1))
        connects = self.tapdisk.calls.count(CONNECT)
        disconnects = self.tapdisk.calls.count(DISCONNECT)
        self.xs.watch(backend(1), 'written')
        self.xs.event()
        self.start_tapback()
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(CONNECT) > connects)
        self.barrier()
        self.barrier()
        self.assertEqual([event for event in self.xs.events if event[1] == 'written'], [])
        self.assertEqual(self.written(backend(1)), before)
        self.assertEqual(self.tapdisk.calls.count(DISCONNECT), disconnects)
        self.assert_connected(1)
        self.close(1)
        self.assertEqual(self.tapdisk.rings, {})

    def test_ring_lost_meanwhile(self):
        self.connect(1)
        self.lose_rings_meanwhile(1)

    def test_killed_before_the_guest_was_told(self):
        self.connect(1)
        self.kill_before_the_guest_is_told(1)
        self.start_tapback()
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'sectors'), '524288')
        self.assertEqual(list(self.tapdisk.rings), [(1, XVDA)])

    def test_closed_meanwhile(self):
        self.connect(1)
        self.connect(2)
        self.stop_tapback()
        self.remove(1)
        self.guest(1, state=6)
        self.xs.rm(frontend(2))
        self.start_tapback()
        self.wait_state(1, XVDA, 6)
        self.wait_state(2, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})

    def test_process_ends(self):
        """No connection ends with it: the kernel tells."""
        with subprocess.Popen([sys.executable, legacy_tapdisk.__file__, self.run],
                              stdout=subprocess.PIPE, text=True) as other:
            self.addCleanup(other.kill)
            pid = int(other.stdout.readline())
            self.add(1)
            self.xs.write(backend(1) + '/physical-device-path', '%s/nbd%d.3' % (self.run, pid))
            self.xs.write(backend(1) + '/hotplug-status', 'connected')
            self.ring(1)
            self.wait_state(1, XVDA, 4)
            other.kill()
        self.wait_state(1, XVDA, 5)
        self.assertEqual(self.node(1, 'error'), "the disk's process has died")


if __name__ == '__main__':
    unittest.main()
