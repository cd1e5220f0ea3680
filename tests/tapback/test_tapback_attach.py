#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Disks are offered, connected and closed, in whatever order others write their nodes."""
import itertools
import signal
import unittest

from rig import Case, XVDA, backend, frontend
from fake_tapdisk import INFO


class Attach(Case):
    def test_libxl(self):
        """The offer comes before the disk; the guest may be ready before the disk is."""
        self.start_tapback()
        self.add(1)
        self.wait_state(1, XVDA, 2)
        offered = self.written(backend(1))
        for name, value in {'max-ring-page-order': '4', 'max-ring-pages': '16',
                            'multi-queue-max-queues': '8', 'feature-barrier': '1',
                            'feature-flush-cache': '1',
                            'feature-max-indirect-segments': '256'}.items():
            self.assertEqual(offered['%s/%s' % (backend(1), name)], value, name)
        self.assertNotIn(INFO, self.tapdisk.calls)
        self.ring(1, ref=8, port=9)
        self.hotplug(1)
        self.wait_state(1, XVDA, 4)
        for name, value in {'sectors': '524288', 'sector-size': '512',
                            'physical-sector-size': '4096', 'info': '0', 'feature-discard': '1',
                            'discard-granularity': '4096', 'discard-alignment': '0',
                            'kthread-pid': str(self.tapdisk.pid)}.items():
            self.assertEqual(self.node(1, name), value, name)
        ring = self.tapdisk.rings[1, XVDA]
        self.assertEqual(ring['queues'], [(0, 9, [8])])
        self.assertEqual((ring['minor'], ring['proto'], ring['flags'], ring['indirect']),
                         (3, 3, 0, 256))
        self.guest(1, state=4)
        self.barrier()
        self.assert_connected(1)

    def test_every_order(self):
        """Hotplug's nodes in any order, and interleaved with what the guest writes in all ways."""
        nodes = {'pid': self.tapdisk.pid, 'hotplug-status': 'connected',
                 'physical-device-path': '%s/nbd%d.3' % (self.run, self.tapdisk.pid)}
        steps = [*nodes, 'keys', 'state']
        orders = [order for order in itertools.permutations(steps)
                  if order.index('keys') < order.index('state')]
        self.start_tapback()
        for domid, order in enumerate(orders, 1):
            self.add(domid)
            self.wait_state(domid, XVDA, 2)
            for step in order:
                if step == 'keys':
                    self.ring(domid, state=None)
                elif step == 'state':
                    self.guest(domid, state=3)
                else:
                    self.xs.write('%s/%s' % (backend(domid), step), nodes[step])
            self.wait_state(domid, XVDA, 4)
        self.assertEqual(self.tapdisk.calls.count(12), len(orders), 'one connect each')
        self.assertEqual(len(self.tapdisk.rings), len(orders))

    def test_hotplug_status_first(self):
        self.start_tapback()
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.xs.write(backend(1) + '/hotplug-status', 'connected')
        self.ring(1)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        self.xs.write(backend(1) + '/physical-device-path',
                      '%s/nbd%d.3' % (self.run, self.tapdisk.pid))
        self.wait_state(1, XVDA, 4)

    def test_daemon_last(self):
        """Everything is there already when tapback starts."""
        self.begin(1)
        self.start_tapback()
        self.wait_state(1, XVDA, 4)

    def test_read_only(self):
        self.start_tapback()
        self.begin(1, mode='r')
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'info'), '4')
        self.assertEqual(self.node(1, 'feature-discard'), '0')
        self.assertEqual(self.tapdisk.rings[1, XVDA]['flags'], 3)

    def test_no_flush(self):
        """Not known when the first offer is made; from then on it is not promised."""
        self.disk.can = 0
        self.start_tapback()
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.assertEqual(self.node(1, 'feature-flush-cache'), '1')
        self.hotplug(1)
        self.ring(1)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'feature-flush-cache'), '0')
        self.close(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.assertEqual(self.node(1, 'feature-flush-cache'), '0')
        self.assertEqual(self.node(1, 'feature-barrier'), '0')

    def test_image_of_params(self):
        """Another one is told, and served."""
        self.start_tapback()
        for domid, params in (1, 'vhd:/x.vhd'), (2, 'vhd:/y.vhd'):
            self.disk.params = params
            self.connect(domid)
            self.barrier()
        self.assertEqual(self.log().count("serves 'vhd:/y.vhd', params are 'vhd:/x.vhd'"), 1)
        self.assertEqual(self.log().count("params are"), 1)

    def test_cdrom_and_no_discard(self):
        self.start_tapback()
        self.begin(1, **{'device-type': 'cdrom', 'discard-enable': 0})
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'info'), '1')
        self.assertEqual(self.node(1, 'feature-discard'), '0')
        self.assertIsNone(self.node(1, 'discard-granularity'))
        self.assertEqual(self.tapdisk.rings[1, XVDA]['flags'], 2)

    def test_queues_and_pages(self):
        self.start_tapback()
        self.add(1)
        self.hotplug(1)
        keys = {'multi-queue-num-queues': 2, 'ring-page-order': 1, 'protocol': 'x86_32-abi'}
        for queue in 0, 1:
            keys['queue-%d/event-channel' % queue] = 20 + queue
            for page in 0, 1:
                keys['queue-%d/ring-ref%d' % (queue, page)] = 100 + 10 * queue + page
        for name, value in keys.items():
            self.guests[1].write('%s/%s' % (frontend(1), name), value)
        self.guest(1, state=3)
        self.wait_state(1, XVDA, 4)
        ring = self.tapdisk.rings[1, XVDA]
        self.assertEqual(ring['proto'], 2)
        self.assertEqual(ring['queues'], [(1, 20, [100, 101]), (1, 21, [110, 111])])

    def test_polling(self):
        self.start_tapback()
        self.begin(1, **{'polling-duration': 500, 'polling-idle-threshold': 101})
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['poll'], (500, 0))
        self.assertIn('polling-idle-threshold: not a number up to 100', self.log())

    def test_domain_0(self):
        """A boot loader in domain 0 reads the disk as a guest would."""
        self.start_tapback()
        self.add(0)
        self.wait_state(0, XVDA, 2)
        self.hotplug(0)
        self.ring(0)
        self.wait_state(0, XVDA, 4)

    def test_straight_to_connected(self):
        """Small frontends never say 3."""
        self.start_tapback()
        self.add(1)
        self.hotplug(1)
        self.ring(1, state=4)
        self.wait_state(1, XVDA, 4)
        self.assert_connected(1)

    def test_many_guests(self):
        """That are there when tapback starts."""
        domids = range(1, 201)
        for domid in domids:
            self.xs.introduce(domid)
            self.xs.write(frontend(domid) + '/state', 1)
            self.xs.write_all(backend(domid), {'frontend': frontend(domid), 'frontend-id': domid,
                                               'online': 1, 'state': 1})
        self.start_tapback()
        for domid in domids:
            self.wait_state(domid, XVDA, 2)

    def test_resized(self):
        self.start_tapback()
        self.connect(1)
        self.barrier()
        self.disk.sectors = 1048576
        self.tapdisk.event(3, 9)
        self.xs.wait_value(backend(1) + '/sectors', '1048576')
        self.assert_connected(1)

    def test_passing_trouble(self):
        """What is not the guest's doing is tried again."""
        self.start_tapback()
        self.tapdisk.refuse[12] = (11, 'not now')
        self.connect(1)
        self.assertEqual(self.tapdisk.calls.count(12), 2)

    def test_not_open(self):
        """A disk without an image is none yet."""
        self.disk.is_open = False
        self.start_tapback()
        self.begin(1)
        self.tapdisk.wait(lambda: 14 in self.tapdisk.calls)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        self.disk.is_open = True
        self.tapdisk.event(3, 1)
        self.wait_state(1, XVDA, 4)

    def test_writable_wish_on_read_only_image(self):
        self.disk.info = 4
        self.start_tapback()
        self.begin(1)
        self.wait_state(1, XVDA, 5)
        self.assertIn('read-only', self.node(1, 'error'))


class Close(Case):
    def setUp(self):
        super().setUp()
        self.start_tapback()

    def test_detach(self):
        """online 0, state 5; the guest closes; everything that the script needs stays."""
        self.connect(1)
        before = self.written(backend(1))
        self.remove(1)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '5')
        self.assertIn((1, XVDA), self.tapdisk.rings, 'served until the guest is done')
        self.close(1)
        self.assertEqual(self.tapdisk.rings, {})
        after = self.written(backend(1))
        before.update({backend(1) + '/online': '0', backend(1) + '/state': '6'})
        self.assertEqual(after, before)
        self.xs.rm(backend(1))
        self.barrier()
        self.assertIsNone(self.node(1, 'state'))

    def test_never_connected(self):
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.remove(1)
        self.wait_state(1, XVDA, 6)

    def test_guest_waits_for_ever(self):
        """Initialised, but never connected, and deaf: closed before the toolstack gives up."""
        self.add(1)
        self.ring(1)
        self.wait_state(1, XVDA, 2)
        self.remove(1)
        self.wait_state(1, XVDA, 6)

    def test_forced(self):
        """The frontend's directory is removed under a connected guest."""
        self.connect(1)
        self.xs.rm(frontend(1))
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})
        self.assertTrue(self.tapdisk.forced)
        self.assertEqual(self.node(1, 'minor'), '3')

    def test_domain_dies(self):
        self.connect(1)
        self.xs.release(1)
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})
        self.assertTrue(self.tapdisk.forced)

    def test_domain_known_again(self):
        """Nobody tells of a domain that comes under the number of one that has ended."""
        self.connect(1)
        self.xs.release(1)
        self.wait_state(1, XVDA, 6)
        self.guests.pop(1).close()
        self.introduce(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_backend_removed(self):
        """Nothing is written into a directory that has gone."""
        self.connect(1)
        self.xs.rm('/local/domain/0/backend/vbd3/1')
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        self.assertIsNone(self.xs.get('/local/domain/0/backend/vbd3/1'))

    def test_backend_removed_at_every_step(self):
        """Whatever has been reached: nothing comes back, and no ring is left."""
        steps = [lambda domid: self.add(domid),
                 lambda domid: self.wait_state(domid, XVDA, 2),
                 lambda domid: self.hotplug(domid),
                 lambda domid: self.ring(domid),
                 lambda domid: self.wait_state(domid, XVDA, 4),
                 lambda domid: self.guest(domid, state=4),
                 lambda domid: self.remove(domid),
                 lambda domid: self.wait_state(domid, XVDA, 5),
                 lambda domid: self.guest(domid, state=5),
                 lambda domid: self.guest(domid, state=6),
                 lambda domid: self.wait_state(domid, XVDA, 6)]
        for domid in range(1, len(steps) + 1):
            for step in steps[:domid]:
                step(domid)
            self.xs.rm(backend(domid))
        self.barrier()
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        for domid in range(1, len(steps) + 1):
            self.assertIsNone(self.xs.get(backend(domid)), domid)

    def test_boot_loader(self):
        """1 3 4 5 6, then 1 3 4 again with another ring."""
        self.connect(1)
        self.guest(1, state=5)
        self.wait_state(1, XVDA, 5)
        self.close(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.ring(1, ref=77, port=78)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['queues'], [(0, 78, [77])])

    def test_frontend_restarts(self):
        """State 1 while we are connected."""
        self.connect(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.assertEqual(self.tapdisk.rings, {})
        self.ring(1, ref=77)
        self.wait_state(1, XVDA, 4)

    def test_suspend_cancelled(self):
        """State 3 with another ring while we are connected: told again that it is connected."""
        self.connect(1)
        self.barrier()
        self.xs.watch(backend(1) + '/state', 'again')
        self.xs.event()
        self.ring(1, ref=77, port=78)
        self.tapdisk.wait(lambda: self.tapdisk.rings.get((1, XVDA), {}).get('queues') ==
                          [(0, 78, [77])])
        self.assertEqual(self.xs.event()[1], 'again')
        self.assertEqual(self.node(1, 'state'), '4')

    def test_same_ring_again(self):
        """State 3 once more, with the ring that is connected: nothing."""
        self.connect(1)
        self.guest(1, state=3)
        self.barrier()
        self.assertEqual(self.tapdisk.calls.count(12), 1)
        self.assertEqual(self.tapdisk.calls.count(13), 0)

    def test_recreated(self):
        """Removed and made again under its name before anybody could look."""
        self.connect(1)
        self.tapback.send_signal(signal.SIGSTOP)
        self.xs.rm(backend(1))
        self.add(1)
        self.tapback.send_signal(signal.SIGCONT)
        self.wait_state(1, XVDA, 2)
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.hotplug(1)
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_recreated_with_its_disk(self):
        """The new directory is told who serves it, too, though that is who did before."""
        self.connect(1)
        self.barrier()
        self.tapback.send_signal(signal.SIGSTOP)
        self.xs.rm(backend(1))
        self.add(1)
        self.hotplug(1)
        self.tapback.send_signal(signal.SIGCONT)
        self.xs.wait_value(backend(1) + '/kthread-pid', str(self.tapdisk.pid))

    def test_recreated_by_mistake(self):
        """What came in its place is no device: the ring of the last one is not kept for it."""
        self.connect(1)
        self.tapback.send_signal(signal.SIGSTOP)
        self.xs.rm(backend(1))
        self.add(1, frontend='x')
        self.tapback.send_signal(signal.SIGCONT)
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        self.assertIn('frontend: not of this device', self.node(1, 'error'))
        self.assertEqual(self.node(1, 'state'), '1')
        self.xs.write(backend(1) + '/frontend', frontend(1))
        self.wait_state(1, XVDA, 2)

    def test_guest_keeps_the_disk(self):
        """Mounted: the guest answers nothing, and is served."""
        self.connect(1)
        self.remove(1)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '5')
        self.assertIn((1, XVDA), self.tapdisk.rings)

    def test_reconfiguring(self):
        """7 and 8 are not for disks."""
        self.connect(1)
        for state in 7, 8, 2:
            self.guest(1, state=state)
            self.barrier()
            self.assert_connected(1)

    def test_nothing_is_kept(self):
        """Of devices that were: no watch, no connection, no descriptor."""
        descriptors = self.at_rest()
        for cycle in range(30):
            self.connect(1)
            self.connect(2, 51728)
            if cycle % 2:
                self.detach(1)
            for path in backend(1), frontend(1), backend(2, 51728), frontend(2, 51728):
                self.xs.rm(path)
        self.assertEqual(self.at_rest(), descriptors)
        self.assertEqual(self.tapdisk.rings, {})

    def test_two_devices_one_disk(self):
        self.connect(1)
        self.connect(2)
        self.detach(1)
        self.assertEqual(list(self.tapdisk.rings), [(2, XVDA)])


if __name__ == '__main__':
    unittest.main()
