# SPDX-License-Identifier: BSD-2-Clause
"""tapback between a guest and a real tapdisk2, whose Xen is made of files."""
import json
import os
import re
import select
import signal
import struct
import subprocess
import unittest

from rig import BUILD, Case, XVDA, backend, frontend

GUEST = os.path.join(BUILD, 'tests/tapback/guest-disk')
XEN_LIBRARIES = os.path.join(BUILD, 'tests/fakexen/.libs')
TAP_CTL = os.path.join(BUILD, 'blktap2/control/tap-ctl')


class Guest:
    def __init__(self, folder, domid):
        self.process = subprocess.Popen([GUEST, folder, str(domid)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ref, self.port = map(int, self.process.stdout.readline().split())

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        return self.process.stdout.readline().rstrip('\n')

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class RealTapdisk(Case):
    def setUp(self):
        super().setUp()
        self.tapdisk.die(unlink=True)
        self.world = os.path.join(self.tmp, 'xen')
        os.mkdir(self.world)
        self.image = os.path.join(self.tmp, 'image')
        with open(self.image, 'wb') as image:
            image.truncate(8 << 20)
        self.disk_env = dict(self.env, FAKEXEN_DIR=self.world, LD_LIBRARY_PATH=XEN_LIBRARIES,
                             TAPDISK=os.path.join(BUILD, 'blktap2/drivers/tapdisk2'))
        self.tap_ctl('create', '-a', 'aio:' + self.image)
        row = re.search(r'pid=(\d+) minor=(\d+) ', self.tap_ctl('list'))
        self.pid, self.minor = map(int, row.groups())
        self.addCleanup(self.end_tapdisk)
        self.start_tapback()

    def tap_ctl(self, *words):
        return subprocess.run([TAP_CTL, *words], env=self.disk_env, text=True, check=True,
                              stdout=subprocess.PIPE).stdout

    def end_tapdisk(self):
        try:
            process = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        os.kill(self.pid, signal.SIGKILL)
        select.select([process], [], [])
        os.close(process)
        self.tap_ctl('clean')

    def attach(self, domid, **nodes):
        """A guest that is connected."""
        self.add(domid, **nodes)
        self.wait_state(domid, XVDA, 2)
        guest = Guest(self.world, domid)
        self.addCleanup(guest.end)
        self.ring(domid, ref=guest.ref, port=guest.port)
        self.xs.write_all(backend(domid), {
            'pid': self.pid, 'minor': self.minor,
            'physical-device-path': '%s/nbd%d.%d' % (self.run, self.pid, self.minor),
            'hotplug-status': 'connected'})
        self.wait_state(domid, XVDA, 4)
        self.guest(domid, state=4)
        return guest

    def shown(self, domid):
        """What xentop reads: version, then reads and writes begun, completed and their sectors."""
        pid = self.node(domid, 'kthread-pid')
        with open('/dev/shm/td3-%s/vbd-%d-%d' % (pid, domid, XVDA), 'rb') as page:
            fields = struct.unpack('=2I11Q', page.read(96))
        return fields[0], fields[3:6], fields[7:10]

    def test_statistics(self):
        """Each guest of a disk has its own, as long as it is connected."""
        one, other = self.attach(1), self.attach(2)
        for sector in 8, 16:
            self.assertEqual(one.ask('write %d some' % sector), '0')
        self.assertEqual(other.ask('read 8'), '0 some')
        self.assertEqual(self.node(1, 'kthread-pid'), str(self.pid))
        self.assertEqual(self.shown(1), (1, (0, 0, 0), (2, 2, 16)))
        self.assertEqual(self.shown(2), (1, (1, 1, 8), (0, 0, 0)))
        self.close(1)
        self.assertRaises(FileNotFoundError, self.shown, 1)
        self.assertEqual(self.shown(2), (1, (1, 1, 8), (0, 0, 0)))

    def test_life(self):
        """Data, a restart under the guest's hands, and the end."""
        guest = self.attach(1)
        self.assertEqual(self.node(1, 'sectors'), '16384')
        self.assertEqual(guest.ask('write 8 before'), '0')
        self.assertEqual(guest.ask('read 8'), '0 before')
        self.stop_tapback(signal.SIGKILL)
        self.assertEqual(guest.ask('write 16 meanwhile'), '0')
        self.start_tapback()
        self.assertEqual(guest.ask('write 24 after'), '0')
        self.assertEqual([guest.ask('read %d' % sector) for sector in (8, 16, 24)],
                         ['0 before', '0 meanwhile', '0 after'])
        with open(self.image, 'rb') as image:
            self.assertEqual(image.read()[8 * 512:][:6], b'before')
        self.assertEqual(self.node(1, 'state'), '4')
        self.detach(1)
        self.tap_ctl('destroy', '-p', str(self.pid), '-m', str(self.minor))

    def test_read_only_beside_a_writer(self):
        writer, reader = self.attach(1), self.attach(2, mode='r')
        self.assertEqual(self.node(2, 'info'), '4')
        self.assertEqual(writer.ask('write 8 shared'), '0')
        self.assertEqual(reader.ask('read 8'), '0 shared')
        self.assertEqual(reader.ask('write 8 never'), '-1')
        self.xs.rm(frontend(1))
        self.wait_state(1, XVDA, 6)
        self.assertEqual(reader.ask('read 8'), '0 shared')

    def rings(self):
        return json.loads(self.tap_ctl('list', '--json', '-p', str(self.pid)))[0]['rings']

    def test_removed_meanwhile(self):
        """A ring whose device went while no tapback was there does not stay; the other does."""
        leaving, staying = self.attach(1), self.attach(2)
        self.assertEqual(leaving.ask('write 8 shared'), '0')
        self.assertEqual(sorted(self.rings(), key=lambda ring: ring['domid']), [
            {'domid': domid, 'devid': XVDA, 'state': 'connected', 'queues': 1} for domid in (1, 2)])
        self.stop_tapback()
        self.xs.rm(backend(1))
        self.xs.rm(frontend(1))
        self.start_tapback()
        # Connected anew at once or after the old ring has gone: by then there is one of them.
        again = self.attach(1)
        self.assertEqual(again.ask('read 8'), '0 shared')
        self.assertEqual(staying.ask('read 8'), '0 shared')
        self.assertEqual(len(self.rings()), 2)
        self.stop_tapback()
        self.xs.rm(backend(1))
        self.xs.rm(frontend(1))
        self.start_tapback()
        while len(self.rings()) == 2:
            self.barrier()
        self.assertEqual(staying.ask('read 8'), '0 shared')

    def test_tapdisk_killed(self):
        guest = self.attach(1)
        self.assertEqual(guest.ask('write 8 kept'), '0')
        os.kill(self.pid, signal.SIGKILL)
        self.wait_state(1, XVDA, 5)
        self.assertEqual(self.node(1, 'error'), "the disk's process has died")
        self.close(1)

    def test_grant_that_is_none(self):
        """Mapping fails in the tapdisk, and the guest is told why."""
        self.add(1)
        self.wait_state(1, XVDA, 2)
        guest = Guest(self.world, 1)
        self.addCleanup(guest.end)
        self.ring(1, ref=guest.ref + 1000, port=guest.port)
        self.xs.write_all(backend(1), {
            'physical-device-path': '%s/nbd%d.%d' % (self.run, self.pid, self.minor),
            'hotplug-status': 'connected'})
        self.wait_state(1, XVDA, 5)
        self.assertIn('cannot be mapped', self.node(1, 'error'))
        self.close(1)
        self.guest(1, state=1)
        self.wait_state(1, XVDA, 2)
        self.ring(1, ref=guest.ref, port=guest.port)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(guest.ask('write 8 now'), '0')


if __name__ == '__main__':
    unittest.main()
