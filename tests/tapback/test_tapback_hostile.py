# SPDX-License-Identifier: BSD-2-Clause
"""What guests, and careless toolstacks, write: errors, no harm, and nobody else is held up."""
import os
import random
import time
import unittest

from rig import Case, XVDA, backend, frontend
from fake_tapdisk import Disk
from legacy_tapdisk import LegacyTapdisk

CONNECT = 12

GOOD = {'ring-ref': 8, 'event-channel': 9, 'protocol': 'x86_64-abi'}

# What a guest may write instead: (nodes; None: none), and what the error is about.
WRONG = [
    ({'ring-page-order': '31'}, 'ring-page-order'),
    ({'ring-page-order': '5'}, 'ring-page-order'),
    ({'ring-page-order': '-1'}, 'ring-page-order'),
    ({'ring-page-order': '4294967296'}, 'ring-page-order'),
    ({'ring-page-order': '3x'}, 'ring-page-order'),
    ({'ring-page-order': ''}, 'ring-page-order'),
    ({'ring-page-order': '0' * 4000}, 'ring-page-order'),
    ({'ring-page-order': '1'}, 'ring-ref0'),
    ({'ring-page-order': '1', 'ring-ref0': 1}, 'ring-ref1'),
    ({'num-ring-pages': '3'}, 'num-ring-pages'),
    ({'num-ring-pages': '0'}, 'num-ring-pages'),
    ({'num-ring-pages': '32'}, 'num-ring-pages'),
    ({'num-ring-pages': '2', 'ring-page-order': '0'}, 'num-ring-pages'),
    ({'multi-queue-num-queues': '0'}, 'multi-queue-num-queues'),
    ({'multi-queue-num-queues': '9'}, 'multi-queue-num-queues'),
    ({'multi-queue-num-queues': '65535'}, 'multi-queue-num-queues'),
    ({'multi-queue-num-queues': '2'}, 'queue-0/ring-ref0'),
    ({'ring-ref': None}, 'ring-ref0'),
    ({'ring-ref': '4294967296'}, 'ring-ref'),
    ({'ring-ref': ' 8'}, 'ring-ref'),
    ({'ring-ref': '0x8'}, 'ring-ref'),
    ({'ring-ref': '8\n'}, 'ring-ref'),
    ({'ring-ref': '8\0'}, 'ring-ref'),
    ({'event-channel': None}, 'event-channel'),
    ({'event-channel': '0'}, 'event-channel'),
    ({'event-channel': 'port'}, 'event-channel'),
    ({'protocol': 'x86_64'}, 'protocol'),
    ({'protocol': ''}, 'protocol'),
    ({'protocol': '\033[2J' * 100}, 'protocol'),
    ({'state': '9'}, 'state'),
    ({'state': '-5'}, 'state'),
    ({'state': '4\n'}, 'state'),
    ({'state': '4' * 4000}, 'state'),
    ({'state': ''}, 'state'),
]


class Hostile(Case):
    def setUp(self):
        super().setUp()
        self.start_tapback()

    def describe(self, domid, nodes):
        state = nodes.pop('state', '3')
        for name, value in nodes.items():
            if value is not None:
                self.guests[domid].write('%s/%s' % (frontend(domid), name), value)
        self.guests[domid].write(frontend(domid) + '/state', state)

    def test_every_wrong_description(self):
        for domid, (nodes, about) in enumerate(WRONG, 1):
            with self.subTest(nodes=nodes):
                self.add(domid)
                self.hotplug(domid)
                self.describe(domid, {**GOOD, **nodes})
                self.wait_state(domid, XVDA, 5)
                error = self.node(domid, 'error')
                self.assertIn(about, error)
                self.assertLess(len(error), 200)
                self.assertTrue(error.isprintable())
        self.assertNotIn(CONNECT, self.tapdisk.calls)

    def test_better_next_time(self):
        self.add(1)
        self.hotplug(1)
        self.describe(1, {**GOOD, 'ring-page-order': '31'})
        self.wait_state(1, XVDA, 5)
        self.close(1)
        self.guests[1].rm(frontend(1) + '/ring-page-order')
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.assertIsNone(self.node(1, 'error'))
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_nonsense_while_connected(self):
        self.connect(1)
        self.guest(1, state=12)
        self.wait_state(1, XVDA, 5)
        self.assertEqual(self.tapdisk.rings, {})

    def test_connect_refused(self):
        """The tapdisk cannot map what the guest has granted."""
        self.tapdisk.refuse[CONNECT] = (22, 'a page cannot be mapped')
        self.begin(1)
        self.wait_state(1, XVDA, 5)
        self.assertEqual(self.node(1, 'error'),
                         'the ring cannot be connected: a page cannot be mapped')

    def test_frontend_points_elsewhere(self):
        """The guest's own idea of its backend does not count."""
        self.add(1)
        self.guest(1, backend='/local/domain/0/backend/vbd3/2/51712', backend__id=7)
        self.hotplug(1)
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_toolstack_mistakes(self):
        """Said in the error node; nothing is done until it is put right."""
        mistakes = [{'frontend': frontend(77)}, {'frontend': frontend(1) + '/x'}, {'frontend': 'x'},
                    {'frontend': None}, {'frontend-id': 2}, {'frontend-id': -1},
                    {'frontend-id': None}, {'frontend': 'x' * 1000}]
        for devid, mistake in enumerate(mistakes, 1):
            self.add(1, devid, **mistake)
            self.xs.watch(backend(1, devid) + '/error', 'error')
            while not self.node(1, 'error', devid):
                self.xs.event()
            self.assertRegex(self.node(1, 'error', devid), r'\Afrontend(-id)?: [ -~]+\Z')
            self.barrier()
            self.assertEqual(self.node(1, 'state', devid), '1')
            self.xs.write_all(backend(1, devid),
                              {'frontend': frontend(1, devid), 'frontend-id': 1})
            self.wait_state(1, devid, 2)
            self.assertIsNone(self.node(1, 'error', devid))

    def test_no_values(self):
        """What is said of them is about them, not what was said before."""
        for devid, (name, value) in enumerate((('frontend', frontend(1)), ('frontend-id', '1')), 1):
            self.add(1, devid, **{name: value + '\0'})
            self.xs.wait_value(backend(1, devid) + '/error', name + ': not a value')

    def test_mistakes_about_the_disk(self):
        mistakes = [('mode', 'x', 'r!'), ('mode', 'w\0', 'w'), ('mode', 'w' * 40, 'w'),
                    ('device-type', 'x' * 40, 'disk'), ('discard-enable', '1\0', '1')]
        for devid, (name, wrong, right) in enumerate(mistakes, 1):
            self.add(1, devid, **{name: wrong})
            self.hotplug(1, devid)
            self.ring(1, devid)
            self.xs.watch(backend(1, devid) + '/error', 'error')
            while not self.node(1, 'error', devid):
                self.xs.event()
            self.assertRegex(self.node(1, 'error', devid), r'\A%s: [ -~]+\Z' % name)
            self.barrier()
            self.assertEqual(self.node(1, 'state', devid), '2')
            self.xs.write('%s/%s' % (backend(1, devid), name), right)
            self.wait_state(1, devid, 4)
            self.assertIsNone(self.node(1, 'error', devid))

    def test_long_online(self):
        """Says nothing, wherever it is read."""
        self.begin(1, online='x' * 40)
        self.wait_state(1, XVDA, 4)

    def test_names_that_are_none(self):
        """Directories that no device has; each is looked at, none is believed."""
        names = ['x', '01', '-1', '4294967296', '1x']
        for name in names:
            self.xs.write('/local/domain/0/backend/vbd3/1/%s/state' % name, 1)
            self.xs.write('/local/domain/0/backend/vbd3/%s/51712/state' % ('a' + name), 1)
        self.xs.write('/local/domain/0/backend/vbd3/32753/51712/state', 1)
        self.barrier()
        self.stop_tapback()
        self.start_tapback()
        for name in names:
            self.assertEqual(self.xs.get('/local/domain/0/backend/vbd3/1/%s/state' % name), '1')

    def test_flapping(self):
        """A guest that changes its state without end: bounded work, others are served."""
        self.connect(1)
        self.introduce(2)
        steps = int(os.environ.get('STEPS', '3000'))
        before, began = self.xs.counts()['requests'], time.monotonic()
        for step in range(steps):
            self.guest(1, state=(3, 5, 6, 1)[step % 4])
        self.connect(2)
        asked = self.xs.counts()['requests'] - before
        # A write for each step, and 40 looks a second, however long this machine takes for them.
        seconds = time.monotonic() - began
        self.assertLess(asked, steps + 1000 * (seconds + 10), 'steps: %d' % steps)
        self.assertLess(len([line for line in self.log().splitlines()
                             if 'domain 1 ' in line and 'device' in line and
                             not line.split(': ')[-1] in REACTIONS]), 40 + seconds)

    def test_too_many_devices(self):
        """512 for each guest; the next guest is served."""
        for devid in range(1, 515):
            self.xs.write_all(backend(1, devid), {
                'frontend': frontend(1, devid), 'frontend-id': 1, 'online': 1, 'state': 1})
        self.introduce(1)
        self.barrier()
        self.assertEqual(self.log().count('more than 512 devices'), 1)
        self.connect(2)


REACTIONS = {'offer', 'connect', 'finish', 'disconnect', 'disconnect by force', 'closing', 'closed',
             'fail'}


class Walk(Case):
    """Random writes; in between, what must always hold."""

    restarts = faults = True

    def test_walk(self):
        seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
        steps = int(os.environ.get('STEPS', '1500'))
        print('# SEED=%d' % seed, flush=True)
        rand = random.Random(seed)
        self.start_tapback()
        for domid in 1, 2, 3:
            self.introduce(domid)
        for step in range(steps):
            self.step(rand, rand.choice((1, 2, 3)))
            if step % 20 == 19:
                self.check('SEED=%d, step %d' % (seed, step))
        for domid in 1, 2, 3:
            self.xs.rm(backend(domid))
            self.xs.rm(frontend(domid))
        self.at_rest()
        self.assertEqual(self.tapdisk.rings, {})

    def step(self, rand, domid):
        path = backend(domid)
        there = self.node(domid, 'state') is not None
        guest_there = self.xs.get(frontend(domid) + '/state') is not None
        what = rand.randrange(18)
        if what == 0 and not there:
            self.add(domid)
        elif what == 1 and there:
            self.hotplug(domid)
        elif what == 2 and there and rand.random() < 0.5:
            self.remove(domid)
        elif what == 3 and there and rand.random() < 0.3:
            self.xs.rm(path)
        elif what == 4 and guest_there and rand.random() < 0.3:
            self.xs.rm(frontend(domid))
        elif what == 5 and guest_there:
            self.ring(domid, ref=rand.choice((8, 8, 9)), state=3)
        elif what in (6, 7, 8, 9) and guest_there:
            self.guest(domid, state=rand.choice((0, 1, 2, 3, 4, 4, 5, 6, 6, 7, 8, 'x')))
        elif what == 10 and there:
            self.xs.write(path + '/hotplug-status', rand.choice(('connected', 'error', '')))
        elif what == 11 and guest_there and rand.random() < 0.2:
            self.guests[domid].write(frontend(domid) + '/ring-page-order', rand.choice('0x'))
        elif what == 12 and rand.random() < 0.3:
            self.tapdisk.hang_up()
        elif what == 13 and self.restarts and rand.random() < 0.1:
            self.stop_tapback(rand.choice((9, 15)))
            # The next one asks for rings, not before the tapdisk has done what it was told last.
            self.tapdisk.wait(lambda: not self.tapdisk.clients)
            self.start_tapback()
        elif what == 14:
            self.xs.control('fail', 'eagain', str(rand.randrange(40)), str(rand.randrange(4)))
        elif what > 14 and self.faults and rand.random() < 0.02:
            (self.kill_tapdisk, self.move_disk, self.drop_connections)[what - 15]()

    def kill_tapdisk(self):
        self.tapdisk.die()
        self.tapdisk.revive()

    def move_disk(self):
        """Out of the tapdisk, with its rings, or back again."""
        with self.tapdisk.lock:
            if self.tapdisk.disks:
                self.tapdisk.rings.clear()
                self.tapdisk.disks.clear()
            else:
                self.tapdisk.disks[3] = self.disk
        self.tapdisk.event(3, 1)

    def drop_connections(self):
        """All of xenstored's but ours."""
        self.xs.control('drop')
        for domid, guest in self.guests.items():
            guest.close()
            self.guests[domid] = self.xenstored.guest(domid)
            self.addCleanup(self.guests[domid].close)

    def check(self, where):
        """Until everything has settled: then rings and states agree."""
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            self.barrier()
            found = self.disagreement()
            if not found:
                return
        lines = [line for line in self.log().splitlines() if 'domain 999' not in line]
        for domid in 1, 2, 3:
            lines.append('domain %d: state %s, hotplug %s, online %s, frontend %s' % (
                domid, self.node(domid, 'state'), self.node(domid, 'hotplug-status'),
                self.node(domid, 'online'), self.xs.get(frontend(domid) + '/state')))
        self.fail('%s: %s\n%s' % (where, found, '\n'.join(lines[-40:])))

    def disagreement(self):
        with self.tapdisk.lock:
            for domid in 1, 2, 3:
                state = self.node(domid, 'state')
                ring = (domid, XVDA) in self.tapdisk.rings
                if state is None and ring:
                    return 'domain %d has no device, but a ring' % domid
                if state in ('1', '6') and ring:
                    return 'domain %d has a ring in state %s' % (domid, state)
                # A guest that comes back when the toolstack has withdrawn the disk has to wait.
                ready = self.node(domid, 'hotplug-status') == 'connected' and self.tapdisk.disks
                if state == '4' and not ring and ready:
                    return 'domain %d has no ring in state 4' % domid
                if state == '1':
                    return 'domain %d was not looked at' % domid
        return None


class LegacyWalk(Walk):
    """The same with a tapdisk that knows the legacy protocol only.  It lists no rings, so what a
    device that went while no tapback was there has left is found by nobody.  It tells nobody what
    becomes of its rings, either."""

    restarts = faults = False

    def setUp(self):
        super().setUp()
        self.tapdisk.die(unlink=True)
        self.tapdisk = LegacyTapdisk(self.run)
        self.disk = self.tapdisk.disks[3] = Disk(524288)


if __name__ == '__main__':
    unittest.main()
