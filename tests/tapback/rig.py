# SPDX-License-Identifier: BSD-2-Clause
"""What tests of tapback share: a xenstored, a tapdisk, a toolstack and guests, all made up, around a
real tapback."""
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.environ.get('top_srcdir', os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
BUILD = os.environ.get('top_builddir', os.path.join(TOP, 'build'))
sys.path.insert(0, os.path.join(TOP, 'tests/fakexen'))
sys.dont_write_bytecode = True
import fake_tapdisk  # noqa: E402
import xenstore  # noqa: E402

TAPBACK = os.path.join(BUILD, 'blktap2/daemon/tapback')
XVDA = 51712


def backend(domid, devid=XVDA, kind='vbd3'):
    return '/local/domain/0/backend/%s/%d/%d' % (kind, domid, devid)


def frontend(domid, devid=XVDA):
    return '/local/domain/%d/device/vbd/%d' % (domid, devid)


class Case(unittest.TestCase):
    """self.xs is the toolstack's connection, self.disk the tapdisk with minor 3."""

    options = ()

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix='tb.')
        self.addCleanup(shutil.rmtree, self.tmp)
        self.run = os.path.join(self.tmp, 'run')
        os.mkdir(self.run, 0o700)
        self.xenstored = xenstore.Xenstored()
        self.addCleanup(self.xenstored.__exit__)
        self.xs = self.xenstored.connect()
        self.addCleanup(self.xs.close)
        self.tapdisk = fake_tapdisk.FakeTapdisk(self.run)
        self.addCleanup(lambda: self.tapdisk.running and self.tapdisk.stop())
        self.disk = self.tapdisk.disks[3] = fake_tapdisk.Disk(524288)
        self.env = dict(os.environ, BLKTAP_CONTROL_DIR=self.run, TAPBACK_RUN_DIR=self.tmp,
                        **self.xenstored.env)
        self.guests, self.barriers = {}, 0
        self.log_path = os.path.join(self.tmp, 'log')
        self.tapback = None
        self.addCleanup(self.stop_tapback)

    # ---- tapback ----------------------------------------------------------------------------

    def start_tapback(self, *options):
        with open(self.log_path, 'a', encoding='utf-8') as log:
            self.tapback = subprocess.Popen(
                [TAPBACK, '-d', '-v', '-c', os.path.join(self.tmp, 'conf'),
                 *(options or self.options)], env=self.env, stderr=log, stdin=subprocess.DEVNULL)
        self.barrier()  # perhaps the first of those that were found
        self.barrier()  # the last

    def stop_tapback(self, sig=signal.SIGTERM):
        if self.tapback:
            self.tapback.send_signal(sig)
            status = self.tapback.wait(120)
            self.tapback = None
            self.assertEqual(status, 0 if sig == signal.SIGTERM else -sig, self.log())

    def log(self):
        if not os.path.exists(self.log_path):
            return ''
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def barrier(self):
        """Until tapback has seen all that was written before: it takes one after the other."""
        self.barriers += 1
        self.introduce(999)
        self.add(999, self.barriers)
        self.wait_state(999, self.barriers, 2)
        self.xs.rm(backend(999, self.barriers))
        self.xs.rm(frontend(999, self.barriers))

    def at_rest(self):
        """Until tapback, whose devices have all been removed, keeps nothing of any of them: how many
        descriptors it has then."""
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            watches, clients = self.xs.counts()['watches'], len(self.tapdisk.clients)
            if (watches, clients) == (2, 0):  # of backend directories, and of domains
                break
            self.barrier()
        self.assertEqual((watches, clients), (2, 0), self.log())
        return len(os.listdir('/proc/%d/fd' % self.tapback.pid))

    # ---- the toolstack ----------------------------------------------------------------------

    def introduce(self, domid):
        if domid not in self.guests and domid != 0:
            self.guests[domid] = self.xenstored.guest(domid)
            self.addCleanup(self.guests[domid].close)

    def add(self, domid, devid=XVDA, **nodes):
        """What libxl writes first."""
        self.introduce(domid)
        values = {'frontend': frontend(domid, devid), 'params': 'vhd:/x.vhd',
                  'script': '/etc/xen/scripts/block-tap', 'frontend-id': domid, 'online': 1,
                  'removable': 0, 'bootable': 1, 'state': 1, 'dev': 'xvda', 'type': 'vbd3',
                  'mode': 'w', 'device-type': 'disk', 'discard-enable': 1, 'specification': 'xen'}
        values.update(nodes)
        while True:
            try:
                self.make_nodes(domid, devid, values)
                return
            except OSError as why:
                if why.errno != errno.EAGAIN:
                    raise

    def make_nodes(self, domid, devid, values):
        tx = self.xs.start()
        self.xs.mkdir(frontend(domid, devid), tx)
        self.xs.ask(xenstore.SET_PERMS, frontend(domid, devid), 'n%d' % domid, 'r0', tx=tx)
        for name, value in {'backend': backend(domid, devid), 'backend-id': 0, 'state': 1,
                            'virtual-device': devid, 'device-type': 'disk'}.items():
            self.xs.write('%s/%s' % (frontend(domid, devid), name), value, tx)
        self.xs.mkdir(backend(domid, devid), tx)
        self.xs.ask(xenstore.SET_PERMS, backend(domid, devid), 'n0', 'r%d' % domid, tx=tx)
        for name, value in values.items():
            if value is not None:
                self.xs.write('%s/%s' % (backend(domid, devid), name), value, tx)
        self.xs.end(tx)

    def hotplug(self, domid, devid=XVDA, minor=3):
        """What the script writes when the disk is there, one by one."""
        path = backend(domid, devid)
        self.xs.write(path + '/pid', self.tapdisk.pid)
        self.xs.write(path + '/minor', minor)
        self.xs.write(path + '/physical-device-path',
                      '%s/nbd%d.%d' % (self.run, self.tapdisk.pid, minor))
        self.xs.write(path + '/hotplug-status', 'connected')

    def remove(self, domid, devid=XVDA):
        """What libxl writes to have a device closed."""
        self.xs.write_all(backend(domid, devid), {'online': 0, 'state': 5})

    def wait_state(self, domid, devid, *states):
        return self.xs.wait_value(backend(domid, devid) + '/state', *map(str, states))

    def node(self, domid, name, devid=XVDA):
        return self.xs.get('%s/%s' % (backend(domid, devid), name))

    # ---- the guest --------------------------------------------------------------------------

    def guest(self, domid, devid=XVDA, **nodes):
        """Nodes of the frontend; state comes last, and __ stands for a dash."""
        guest = self.guests[domid] if domid else self.xs
        state = nodes.pop('state', None)
        for name, value in nodes.items():
            path = '%s/%s' % (frontend(domid, devid), name.replace('__', '-'))
            if value is None:
                guest.rm(path)
            else:
                guest.write(path, value)
        if state is not None:
            guest.write(frontend(domid, devid) + '/state', state)

    def ring(self, domid, devid=XVDA, state=3, ref=8, port=8):
        self.guest(domid, devid, ring__ref=ref, event__channel=port, protocol='x86_64-abi',
                   feature__persistent=1, state=state)

    def connect(self, domid, devid=XVDA, minor=3):
        """A whole attach."""
        self.add(domid, devid)
        self.wait_state(domid, devid, 2)
        self.hotplug(domid, devid, minor)
        self.ring(domid, devid)
        self.wait_state(domid, devid, 4)
        self.guest(domid, devid, state=4)

    def begin(self, domid, **nodes):
        """An attach in which nobody waits for anybody, without its end."""
        self.add(domid, **nodes)
        self.hotplug(domid)
        self.ring(domid)

    def close(self, domid):
        """The guest closes, and the device follows."""
        self.guest(domid, state=6)
        self.wait_state(domid, XVDA, 6)

    def detach(self, domid):
        self.remove(domid)
        self.close(domid)

    # ---- what happens meanwhile -------------------------------------------------------------

    def kill_before_the_guest_is_told(self, domid):
        """tapback has connected the ring, and has not said so."""
        self.guest(domid, state=3)
        self.stop_tapback(signal.SIGKILL)
        self.xs.write(backend(domid) + '/state', 2)
        self.xs.rm(backend(domid) + '/sectors')

    def lose_rings_meanwhile(self, domid):
        """The tapdisk has no rings any more when tapback comes back, which connects them anew."""
        self.stop_tapback()
        self.tapdisk.rings.clear()
        self.start_tapback()
        self.tapdisk.wait(lambda: (domid, XVDA) in self.tapdisk.rings)
        self.barrier()
        self.assert_connected(domid)

    def written(self, path):
        """All nodes below a path, with their values."""
        found = {}
        for name in self.xs.ls(path):
            below = '%s/%s' % (path, name)
            found[below] = self.xs.get(below)
            found.update(self.written(below))
        return found

    def assert_connected(self, domid, devid=XVDA):
        self.assertEqual(self.node(domid, 'state', devid), '4')
        self.assertIn((domid, devid), self.tapdisk.rings)
