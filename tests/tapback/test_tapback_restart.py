# SPDX-License-Identifier: BSD-2-Clause
"""tapback, tapdisks and xenstored end, die and come back; guests do not notice, or are told."""
import os
import signal
import socket
import subprocess
import sys
import unittest

from rig import Case, TAPBACK, XVDA, backend, frontend
import fake_tapdisk
import legacy_tapdisk
from fake_tapdisk import ALL_RINGS, FORCE

HELLO, CONNECT, DISCONNECT, RINGS = 1, 12, 13, 14


class Tapback(Case):
    def assert_unwritten(self, what, domid=1):
        """what() makes no node of the device change."""
        self.xs.watch(backend(domid), 'unwritten')
        self.assertEqual(self.xs.event()[1], 'unwritten')
        what()
        self.xs.events = [event for event in self.xs.events if event[1] == 'unwritten']
        self.assertEqual(self.xs.events, [])
        self.xs.unwatch(backend(domid), 'unwritten')

    def restart(self, sig):
        self.stop_tapback(sig)
        self.start_tapback()

    def adopt(self, sig, asked):
        """Until the tapdisk has been asked for its rings, and the answer has been seen."""
        self.restart(sig)
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(RINGS) == asked)
        self.barrier()

    def test_adoption(self):
        self.start_tapback()
        self.connect(1)
        self.barrier()
        for asked, sig in enumerate((signal.SIGTERM, signal.SIGKILL), 2):
            self.assert_unwritten(lambda sig=sig, asked=asked: self.adopt(sig, asked))
            self.assert_connected(1)
        self.assertEqual(self.tapdisk.calls.count(CONNECT), 1)
        self.assertEqual(self.tapdisk.calls.count(DISCONNECT), 0)
        about = 'minor 3 of tapdisk %d, 524288 sectors, 1 queues of 1 pages, x86_64' % self.tapdisk.pid
        self.assertEqual(self.log().count('device 51712: connected: ' + about), 1)
        self.assertEqual(self.log().count('device 51712: adopted: ' + about), 2)
        self.detach(1)
        self.assertEqual(self.tapdisk.rings, {})

    def test_killed_before_the_guest_was_told(self):
        """The ring is connected, our state is still 2: told now, not connected twice."""
        self.start_tapback()
        self.connect(1)
        self.kill_before_the_guest_is_told(1)
        self.start_tapback()
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.node(1, 'sectors'), '524288')
        self.assertEqual(self.node(1, 'info'), '0')
        self.assertEqual(self.tapdisk.calls.count(CONNECT), 1)

    def test_another_ring_by_now(self):
        self.start_tapback()
        self.connect(1)
        self.stop_tapback(signal.SIGKILL)
        self.xs.write(backend(1) + '/state', 2)
        self.ring(1, ref=77)
        self.start_tapback()
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['queues'], [(0, 8, [77])])

    def test_ring_lost_meanwhile(self):
        self.start_tapback()
        self.connect(1)
        self.lose_rings_meanwhile(1)

    def test_grown_meanwhile(self):
        self.start_tapback()
        self.connect(1)
        self.stop_tapback()
        self.disk.sectors = 1048576
        self.start_tapback()
        self.xs.wait_value(backend(1) + '/sectors', '1048576')
        self.assert_connected(1)

    def test_offered(self):
        self.start_tapback()
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.assert_unwritten(lambda: self.restart(signal.SIGKILL))
        self.hotplug(1)
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_closing_meanwhile(self):
        self.start_tapback()
        self.connect(1)
        self.connect(2)
        self.connect(3)
        self.stop_tapback()
        self.remove(1)
        self.guest(1, state=6)
        self.xs.rm(frontend(2))
        self.xs.rm(backend(3))
        self.start_tapback()
        self.wait_state(1, XVDA, 6)
        self.wait_state(2, XVDA, 6)
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        self.assertIsNone(self.node(3, 'state'))

    def test_made_anew_meanwhile(self):
        """The next device of the name does not know where the ring of the last one is."""
        self.start_tapback()
        self.connect(1)
        self.stop_tapback()
        self.xs.rm(backend(1))
        self.add(1)
        self.start_tapback()
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.assertTrue(self.tapdisk.forced)
        self.assertIn('belongs to nobody', self.log())
        self.wait_state(1, XVDA, 2)

    def test_rings_of_others_stay(self):
        """Of another backend, of guests that are not ours, of a disk that is said to be elsewhere."""
        self.start_tapback()
        for domid in 1, 2, 3, 4:
            self.connect(domid)
        self.stop_tapback()
        self.xs.rm(backend(1))
        self.xs.write(backend(1, kind='other') + '/state', 4)
        self.xs.rm(backend(2))
        self.xs.rm(backend(3) + '/physical-device-path')
        self.start_tapback()
        self.tapdisk.wait(lambda: (2, XVDA) not in self.tapdisk.rings)
        self.assertEqual([domid for domid, _ in self.tapdisk.rings], [1, 3, 4])
        self.stop_tapback()
        self.xs.rm(backend(1, kind='other'))
        calls = self.tapdisk.calls.count(ALL_RINGS)
        self.options = '-x', '999'
        self.start_tapback()
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(ALL_RINGS) > calls)
        self.barrier()
        self.assertEqual([domid for domid, _ in self.tapdisk.rings], [1, 3, 4])
        self.assertEqual(self.tapdisk.calls.count(DISCONNECT), 1)

    def test_closed(self):
        self.start_tapback()
        self.connect(1)
        self.close(1)
        self.assert_unwritten(lambda: self.restart(signal.SIGTERM))
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)

    def test_domain_died_meanwhile(self):
        self.start_tapback()
        self.connect(1)
        self.stop_tapback()
        self.xs.release(1)
        self.start_tapback()
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})


class Tapdisk(Case):
    def setUp(self):
        super().setUp()
        self.start_tapback()

    def test_dies(self):
        """The guest is told; a new tapdisk serves it when it comes again."""
        for unlink in False, True:
            with self.subTest(unlink=unlink):
                domid = 1 + unlink
                self.connect(domid)
                self.tapdisk.die(unlink)
                self.wait_state(domid, XVDA, 5)
                self.assertEqual(self.node(domid, 'error'), "the disk's process has died")
                self.close(domid)
                self.tapdisk.revive()
                self.guest(domid, state=1)
                self.wait_state(domid, XVDA, 2)
                self.assertIsNone(self.node(domid, 'error'))
                self.ring(domid)
                self.wait_state(domid, XVDA, 4)
                self.xs.rm(backend(domid))

    def test_dies_before_it_is_needed(self):
        self.add(1)
        self.hotplug(1)
        self.barrier()
        self.tapdisk.die()
        self.ring(1)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        self.tapdisk.revive()
        self.wait_state(1, XVDA, 4)

    def test_died_meanwhile(self):
        self.connect(1)
        self.stop_tapback()
        self.tapdisk.die()
        self.start_tapback()
        self.wait_state(1, XVDA, 5)
        self.xs.rm(frontend(1))
        self.wait_state(1, XVDA, 6)

    def test_hangs_up(self):
        """A connection that ends is not a process that ends."""
        self.connect(1)
        self.barrier()
        self.tapdisk.hang_up()
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(RINGS) == 2)
        self.barrier()
        self.assert_connected(1)
        self.detach(1)
        self.assertEqual(self.tapdisk.rings, {})

    def begin_and_hold(self):
        """An attach whose last step the tapdisk does not answer."""
        self.tapdisk.hold = {CONNECT}
        self.begin(1)
        self.tapdisk.wait(lambda: self.tapdisk.held)

    def test_hangs(self):
        """Nobody else waits for a tapdisk that does not answer."""
        self.begin_and_hold()
        self.tapdisk.hold = set()
        self.connect(2)
        self.assertEqual(self.node(1, 'state'), '2')
        self.tapdisk.let_go()
        self.wait_state(1, XVDA, 4)

    def test_removed_while_connecting(self):
        """The directory goes while the tapdisk connects: disconnected, and nothing written."""
        self.begin_and_hold()
        self.xs.rm(backend(1))
        self.xs.rm(frontend(1))
        self.barrier()
        self.tapdisk.let_go()
        self.tapdisk.wait(lambda: DISCONNECT in self.tapdisk.calls and not self.tapdisk.rings)
        self.barrier()
        self.assertIsNone(self.node(1, 'state'))

    def test_frontend_vanishes_while_connecting(self):
        self.begin_and_hold()
        self.xs.rm(frontend(1))
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2', 'not before the memory is let go')
        self.tapdisk.let_go()
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})
        self.assertTrue(self.tapdisk.forced)
        self.assertIsNone(self.xs.get(frontend(1)))

    def test_connection_lost_while_disconnecting(self):
        """The device is not forgotten before its ring is known to be gone."""
        self.connect(1)
        self.tapdisk.hold = {DISCONNECT}
        self.xs.rm(backend(1))
        self.tapdisk.wait(lambda: self.tapdisk.held)
        self.tapdisk.hold, self.tapdisk.held = set(), []
        self.tapdisk.hang_up()
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        self.assertIsNone(self.node(1, 'state'))

    def fall_silent(self):
        """The connection ends, and the tapdisk does not greet the next one."""
        self.barrier()
        self.tapdisk.hold = {HELLO}
        self.tapdisk.hang_up()
        self.tapdisk.wait(lambda: self.tapdisk.held)

    def test_made_anew_while_the_tapdisk_is_silent(self):
        """A directory that does not name the disk is no proof that the ring of the last one is gone."""
        self.connect(1)
        self.fall_silent()
        self.xs.rm(backend(1))
        self.add(1)
        self.wait_state(1, XVDA, 2)
        self.xs.rm(backend(1))
        self.barrier()
        self.tapdisk.let_go()
        self.tapdisk.wait(lambda: not self.tapdisk.rings)
        self.barrier()
        self.assertIsNone(self.node(1, 'state'))

    def test_disk_moves_while_the_tapdisk_is_silent(self):
        """Another disk is not looked at before the ring of the first one is known about, and gone."""
        self.tapdisk.disks[4] = self.disk
        self.connect(1)
        self.fall_silent()
        self.hotplug(1, minor=4)
        self.barrier()
        self.tapdisk.let_go()
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(RINGS) >= 2)
        self.barrier()
        self.assertEqual(self.tapdisk.rings[1, XVDA]['minor'], 3)
        self.close(1)
        self.assertEqual(self.tapdisk.rings, {})
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.ring(1)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['minor'], 4)

    def test_asked_to_close_while_connecting(self):
        self.begin_and_hold()
        self.remove(1)
        self.barrier()
        self.tapdisk.let_go()
        self.tapdisk.wait(lambda: DISCONNECT in self.tapdisk.calls and not self.tapdisk.rings)
        # The guest has not been told of the ring, and says nothing more.
        self.wait_state(1, XVDA, 6)

    def test_frontend_vanishes_while_disconnecting(self):
        self.connect(1)
        self.tapdisk.hold = {DISCONNECT}
        self.guest(1, state=6)
        self.tapdisk.wait(lambda: self.tapdisk.held)
        self.xs.rm(frontend(1))
        self.tapdisk.wait(lambda: len(self.tapdisk.held) == 2)
        forced = [FORCE in dict(fake_tapdisk.attributes(call[-1])) for call in self.tapdisk.held]
        self.assertEqual(forced, [False, True], 'a disk that hangs is not waited for')
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '4', 'not before the memory is let go')
        self.tapdisk.let_go()
        self.wait_state(1, XVDA, 6)

    def test_served_already(self):
        """A connect that the tapdisk has served without our knowing."""
        self.add(1)
        self.hotplug(1)
        self.tapdisk.wait(lambda: RINGS in self.tapdisk.calls)
        self.barrier()
        self.tapdisk.rings[1, XVDA] = {'minor': 3, 'queues': [(0, 8, [8])], 'state': 1, 'proto': 3}
        self.ring(1)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.calls.count(DISCONNECT), 0)
        self.tapdisk.rings[2, XVDA] = {'minor': 3, 'queues': [(0, 8, [99])], 'state': 1, 'proto': 3}
        self.begin(2)
        self.wait_state(2, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[2, XVDA]['queues'], [(0, 8, [8])])

    def test_dying_ring(self):
        """Disconnected by somebody else, with something in flight: its end is awaited."""
        self.connect(1)
        self.barrier()
        self.tapdisk.rings[1, XVDA]['state'] = 2
        self.tapdisk.event(3, 1)
        self.tapdisk.wait(lambda: self.tapdisk.calls.count(CONNECT) == 2)
        self.assertEqual(self.tapdisk.calls.count(DISCONNECT), 1)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['state'], 1)
        self.barrier()
        self.assert_connected(1)

    def test_guest_breaks_the_ring(self):
        self.connect(1)
        self.barrier()
        self.tapdisk.rings[1, XVDA]['state'] = 3
        self.tapdisk.event(3, 4)
        self.wait_state(1, XVDA, 5)
        self.assertIn('broke the protocol', self.node(1, 'error'))
        self.assertEqual(self.tapdisk.rings, {})

    def test_absent_minor(self):
        """The process is there, the disk is not, until it is."""
        disk = self.tapdisk.disks.pop(3)
        self.begin(1)
        self.tapdisk.wait(lambda: 11 in self.tapdisk.calls)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        self.tapdisk.disks[3] = disk
        self.wait_state(1, XVDA, 4)

    def test_taken_away(self):
        """The process goes on, the disk has gone: the guest is told, and gets no other one."""
        self.connect(1)
        self.barrier()
        self.tapdisk.rings.clear()
        self.tapdisk.disks[4] = self.tapdisk.disks.pop(3)
        self.hotplug(1, minor=4)
        self.tapdisk.event(3, 1)
        self.wait_state(1, XVDA, 5)
        self.assertEqual(self.node(1, 'error'), 'the disk has been taken away')
        self.barrier()
        self.assertEqual(self.tapdisk.rings, {})
        self.close(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.ring(1)
        self.wait_state(1, XVDA, 4)

    def test_replaced_before_the_guest_was_told(self):
        """A new tapdisk at once, while nobody looked: the guest is not moved to it unasked."""
        self.connect(1)
        self.barrier()
        with subprocess.Popen([sys.executable, legacy_tapdisk.__file__, self.run],
                              stdout=subprocess.PIPE, text=True) as other:
            self.addCleanup(other.kill)
            pid = int(other.stdout.readline())
            self.tapback.send_signal(signal.SIGSTOP)
            self.tapdisk.die(unlink=True)
            self.xs.write(backend(1) + '/physical-device-path', '%s/nbd%d.3' % (self.run, pid))
            self.tapback.send_signal(signal.SIGCONT)
            self.wait_state(1, XVDA, 5)
            self.assertEqual(self.node(1, 'error'), "the disk's process has died")
            self.close(1)
            self.guest(1, state=1)
            self.wait_state(1, XVDA, 2)
            self.ring(1)
            self.wait_state(1, XVDA, 4)
            self.assertEqual(self.node(1, 'kthread-pid'), str(pid))
            other.kill()

    def test_pid_of_another_program(self):
        """The path names a process that is none of ours, at whose socket somebody else listens."""
        other = subprocess.Popen(['tail', '-f', '/dev/null'])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.join(self.run, 'ctl%d' % other.pid))
            listener.listen()
            paths = ('%s/nbd%d.3' % (self.run, other.pid), '%s/nbd1.3' % self.run, '',
                     '%s/nbd%d.3x' % (self.run, self.tapdisk.pid),
                     '%s/nbd%d.99999999' % (self.run, self.tapdisk.pid),
                     '/elsewhere/nbd%d.3' % self.tapdisk.pid, 'x' * 2000)
            for domid, path in enumerate(paths, 1):
                self.add(domid, **{'physical-device-path': path, 'hotplug-status': 'connected'})
                self.ring(domid)
                self.barrier()
                self.assertEqual(self.node(domid, 'state'), '2', path)
        self.assertNotIn(CONNECT, self.tapdisk.calls)

    def test_no_guests(self):
        """A tapdisk that was built without rings."""
        self.tapdisk.die()
        self.tapdisk.max_queues = 0
        self.tapdisk.revive()
        self.begin(1)
        self.tapdisk.wait(lambda: RINGS in self.tapdisk.calls)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        self.assertIn('serves no guests', self.log())


class Store(Case):
    def setUp(self):
        super().setUp()
        self.start_tapback()

    def test_conflicts(self):
        """More than are tried at once."""
        self.xs.control('fail', 'eagain', '20', '1')
        self.add(1)
        self.wait_state(1, XVDA, 2)

    def test_quota(self):
        self.tapback.send_signal(signal.SIGSTOP)
        self.add(1)
        self.xs.control('fail', 'quota', '2')
        self.tapback.send_signal(signal.SIGCONT)
        self.wait_state(1, XVDA, 2)
        self.assertIn('No space left', self.log())

    def test_connection_lost(self):
        self.connect(1)
        self.barrier()
        self.xs.control('drop')
        for guest in self.guests.values():
            guest.close()
        self.guests.clear()
        self.remove(1)
        self.xs.write(frontend(1) + '/state', 6)
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})
        self.barrier()

    def test_connection_lost_while_idle(self):
        """Nothing wakes who only waits for events: tapback asks from time to time."""
        self.connect(1)
        self.barrier()
        # With the watch of the device that was the barrier goes the last request.
        while self.xs.counts()['watches'] > 3:
            pass
        self.xs.control('drop')
        for guest in self.guests.values():
            guest.close()
        self.guests.clear()
        self.xs.rm(frontend(1))
        self.wait_state(1, XVDA, 6)
        self.assertEqual(self.tapdisk.rings, {})

    def test_started_before_xenstored(self):
        self.stop_tapback()
        env = self.env
        self.env = dict(env, XENSTORED_PATH=self.tmp + '/later', XENSTORED_RUNDIR=self.tmp)
        later = self.tmp + '/later'
        with open(self.log_path, 'a', encoding='utf-8') as log:
            self.tapback = subprocess.Popen([TAPBACK, '-d'], env=self.env, stderr=log)
        self.add(1)
        os.symlink(self.xenstored.path, later)
        self.wait_state(1, XVDA, 2)


if __name__ == '__main__':
    unittest.main()
