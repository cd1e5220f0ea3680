# SPDX-License-Identifier: BSD-2-Clause
"""The command line, the process and its neighbours: other instances, the service manager, monitors,
other toolstacks."""
import fcntl
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import unittest

import rig
import fake_tapdisk
import legacy_tapdisk
import xenstore
from rig import Case, TAPBACK, TOP, XVDA, backend, frontend

MANUAL = os.path.join(TOP, 'blktap2/daemon/tapback.8')


def ask(*options, env=None):
    return subprocess.run([TAPBACK, *options], env=env, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def unit_lines():
    with open(os.path.join(rig.BUILD, 'blktap2/daemon/tapback.service'), encoding='utf-8') as unit:
        return unit.read().splitlines()


class CommandLine(unittest.TestCase):
    def test_help_and_version(self):
        for option in '-h', '--help':
            got = ask(option)
            self.assertEqual((got.returncode, got.stderr), (0, ''))
            self.assertTrue(got.stdout.startswith('usage: tapback '))
        for option in '-V', '--version':
            got = ask(option)
            self.assertEqual((got.returncode, got.stderr), (0, ''))
            self.assertRegex(got.stdout, r'\Atapback \S+\n\Z')

    def test_wrong(self):
        wrong = (['-q'], ['--nonsense'], ['operand'], ['-n'], ['-n', ''], ['-n', 'a/b'],
                 ['-n', 'x' * 32], ['--name=ä'], ['-x'], ['-x', '-1'], ['-x', '32752'], ['-x', '1x'],
                 ['-m', 'xend'], ['-m'], ['--max-queues', '0'], ['--max-queues', '9'],
                 ['--max-queues=x'], ['--max-ring-order', '5'], ['--max-ring-order'], ['-p', ''],
                 ['-p'], ['-c', ''], ['-d', '-d', 'x'])
        for options in wrong:
            with self.subTest(options=options):
                got = ask(*options)
                self.assertEqual((got.returncode, got.stdout), (22, ''))
                self.assertIn('usage: tapback ', got.stderr)

    def test_manual_has_every_option(self):
        with open(MANUAL, encoding='utf-8') as manual:
            page = manual.read()
        text = ask('--help').stdout
        options = re.findall(r'^  (-\w)?(?:, )?(--[\w-]+)?', text, re.M)
        self.assertGreater(len(options), 10)
        for short, long in options:
            words = [word[1:] for word in (short, long) if word]
            for word in words:
                self.assertRegex(page, r'(?m)^\.It Fl (?:.* Fl |)%s\b' % re.escape(word))


class Instances(Case):
    def test_only_one(self):
        self.start_tapback()
        got = ask('-d', env=self.env)
        self.assertEqual(got.returncode, 16)
        self.assertIn('another tapback serves vbd3', got.stderr)
        self.assertEqual(ask(env=self.env).returncode, 16)
        self.assertTrue(stat.S_ISSOCK(os.stat(self.tmp + '/tapback.master').st_mode))
        self.stop_tapback()
        self.assertFalse(os.path.exists(self.tmp + '/tapback.master'))
        self.start_tapback()

    def test_killed_one_is_none(self):
        self.start_tapback()
        self.stop_tapback(signal.SIGKILL)
        self.start_tapback()

    def test_another_name(self):
        self.start_tapback()
        with subprocess.Popen([TAPBACK, '-d', '-n', 'other'], env=self.env,
                              stderr=subprocess.DEVNULL) as other:
            path = backend(1, kind='other')
            self.introduce(1)
            self.xs.write(frontend(1) + '/state', 1)
            self.xs.write_all(path, {'frontend': frontend(1), 'frontend-id': 1, 'online': 1,
                                     'state': 1, 'mode': 'w'})
            self.xs.wait_value(path + '/state', '2')
            other.terminate()
        self.assertEqual(other.returncode, 0)

    def test_one_domain(self):
        self.tapback = subprocess.Popen([TAPBACK, '-d', '-x', '7'], env=self.env,
                                        stderr=subprocess.DEVNULL)
        self.add(8)
        self.add(7)
        self.wait_state(7, XVDA, 2)
        self.add(7, 51728)
        self.wait_state(7, 51728, 2)
        self.assertEqual(self.node(8, 'state'), '1')
        self.xs.rm('/local/domain/0/backend/vbd3/7')
        self.add(7)
        self.wait_state(7, XVDA, 2)

    def test_background(self):
        pidfile = self.tmp + '/pid'
        env = dict(self.env)
        got = ask('-p', pidfile, env=env)
        self.assertEqual((got.returncode, got.stdout, got.stderr), (0, '', ''))
        with open(pidfile, encoding='ascii') as file:
            pid = int(file.read())
            with self.assertRaises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        try:
            self.barrier()
            self.assertEqual(os.readlink('/proc/%d/cwd' % pid), '/')
            for fd in range(3):
                self.assertEqual(os.readlink('/proc/%d/fd/%d' % (pid, fd)), '/dev/null')
            with open('/proc/%d/status' % pid, encoding='ascii') as status:
                status = status.read()
            self.assertRegex(status, r'CapEff:\s0+\n')
            self.assertRegex(status, r'Umask:\s0077\n')
        finally:
            os.kill(pid, signal.SIGTERM)
        lock = os.open(self.tmp + '/tapback.vbd3.lock', os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it has ended
        os.close(lock)
        self.assertFalse(os.path.exists(pidfile))

    def test_pidfile_that_cannot_be(self):
        got = ask('-p', self.tmp + '/no/such/file', env=self.env)
        self.assertEqual(got.returncode, 2)
        self.assertIn('/no/such/file', got.stderr)

    def test_examples_of_the_manual(self):
        with open(MANUAL, encoding='utf-8') as manual:
            examples = re.findall(r'^\.Dl # tapback ?(.*)$', manual.read(), re.M)
        self.assertEqual(len(examples), 3)
        for example in examples:
            options = example.split()
            kind = options[options.index('-n') + 1] if '-n' in options else 'vbd3'
            with subprocess.Popen([TAPBACK, '-d', *options], env=self.env,
                                  stderr=subprocess.DEVNULL) as tapback:
                path = backend(1, kind=kind)
                self.introduce(1)
                self.xs.write(frontend(1) + '/state', 1)
                self.xs.write_all(path, {'frontend': frontend(1), 'frontend-id': 1, 'online': 1,
                                         'state': 1})
                self.xs.wait_value(path + '/state', '2')
                if kind == 'test':
                    self.assertEqual(self.xs.get(path + '/max-ring-pages'), '1')
                    self.assertEqual(self.xs.get(path + '/multi-queue-max-queues'), '1')
                tapback.terminate()
            self.assertEqual(tapback.returncode, 0)
            self.xs.rm(path)


class Manager(Case):
    def test_told_when_ready_and_alive(self):
        for name in self.tmp + '/notify', '@tapback-%d' % os.getpid():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(name.replace('@', '\0'))
                manager.settimeout(60)
                self.env.update(NOTIFY_SOCKET=name, WATCHDOG_USEC='30000')
                self.add(1)
                self.start_tapback()
                words = [manager.recv(100) for _ in range(3)]
                self.assertEqual(set(words), {b'READY=1', b'WATCHDOG=1'})
                self.assertEqual(self.node(1, 'state'), '2', 'looked at before')
                self.tapback.terminate()
                while manager.recv(100) != b'STOPPING=1':
                    pass
                self.stop_tapback()

    def test_unit(self):
        lines = unit_lines()
        for line in 'Type=notify', 'Restart=always', 'KillMode=process', 'RestartSec=1':
            self.assertIn(line, lines)
        start = [line for line in lines if line.startswith('ExecStart=')]
        self.assertRegex(start[0], r'\AExecStart=/.*/tapback -d\Z')

    def test_clients_find_sockets_below_var_run(self):
        """It is the same folder as /run, or one with a link; /run and /var here nobody else sees."""
        if subprocess.run(['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/run'],
                          stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest('this needs mounts of its own')
        line = [line for line in unit_lines() if line.startswith('ExecStartPre=-+')][0]
        command = shlex.split(line.split('+', 1)[1])
        for var_run, link in ('mkdir /var/run', True), ('ln -s /run /var/run', False):
            script = ('mount -t tmpfs none /run && mount -t tmpfs none /var && %s && "$@"\n'
                      'readlink /var/run/blktap-control || :' % var_run)
            told = subprocess.run(['unshare', '--mount', 'sh', '-ec', script, 'sh', *command],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertEqual(bool(told), link, var_run)
            self.assertIn(told.strip(), command[-1])

    def test_signals(self):
        self.start_tapback()
        self.connect(1)
        self.barrier()
        self.tapback.send_signal(signal.SIGUSR1)
        self.barrier()
        self.assertRegex(self.log(), r'dump: domid 1 devid 51712 own 4 frontend [34] online 1 '
                         r"hotplug 1 pid %d minor 3 queues 1 transitions 2 unlogged 0 error ''" %
                         self.tapdisk.pid)
        with open(self.tmp + '/conf', 'w', encoding='ascii') as conf:
            conf.write('tapback-max-queues = 2\ntapback-barrier = 0\n')
        self.tapback.send_signal(signal.SIGHUP)
        self.barrier()
        self.add(2)
        self.wait_state(2, XVDA, 2)
        self.assertEqual(self.node(2, 'multi-queue-max-queues'), '2')
        self.assertEqual(self.node(2, 'feature-barrier'), '0')
        self.assert_connected(1)

    def test_what_was_offered_may_be_used(self):
        """Though less, or more, would be offered by now, or by the next one."""
        self.start_tapback()
        for domid in 1, 2:
            self.add(domid)
            self.wait_state(domid, XVDA, 2)
            self.hotplug(domid)
        with open(self.tmp + '/conf', 'w', encoding='ascii') as conf:
            conf.write('tapback-max-queues = 1\ntapback-max-ring-order = 0\n'
                       'tapback-persistent-grants = 1\n')
        self.tapback.send_signal(signal.SIGHUP)
        self.barrier()
        for domid in 1, 2:
            for queue in 0, 1:
                path = '%s/queue-%d/' % (frontend(domid), queue)
                self.guests[domid].write(path + 'event-channel', 20 + queue)
                for page in 0, 1:
                    self.guests[domid].write(path + 'ring-ref%d' % page, 100 + 10 * queue + page)
            self.guest(domid, ring__page__order=1, multi__queue__num__queues=2,
                       protocol='x86_64-abi', feature__persistent=1, state=3)
            self.wait_state(domid, XVDA, 4)
            ring = self.tapdisk.rings[domid, XVDA]
            self.assertEqual(ring['queues'], [(1, 20, [100, 101]), (1, 21, [110, 111])])
            self.assertEqual(ring['features'], 0, 'what was not offered is not used')
            self.stop_tapback()
            self.start_tapback()

    def test_persistent_grants(self):
        """Offered where the configuration says so, and used by guests that accept."""
        self.start_tapback()
        self.connect(1)
        self.assertEqual(self.node(1, 'feature-persistent'), '0')
        self.assertEqual(self.tapdisk.rings[1, XVDA]['features'], 0)
        with open(self.tmp + '/conf', 'w', encoding='ascii') as conf:
            conf.write('tapback-persistent-grants = 1\n')
        self.tapback.send_signal(signal.SIGHUP)
        self.barrier()
        for domid, accepts, features in (2, '1', 0x1f), (3, '0', 0), (4, 'yes', 0), (5, None, 0):
            self.add(domid)
            self.wait_state(domid, XVDA, 2)
            self.assertEqual(self.node(domid, 'feature-persistent'), '1')
            self.hotplug(domid, XVDA, 3)
            self.guest(domid, ring__ref=8, event__channel=9, protocol='x86_64-abi',
                       feature__persistent=accepts, state=3)
            self.wait_state(domid, XVDA, 4)
            self.assertEqual(self.tapdisk.rings[domid, XVDA]['features'], features)

    def test_no_barrier(self):
        self.start_tapback('-b', '--max-queues=1', '--max-ring-order', '0')
        self.connect(1)
        self.assertEqual(self.node(1, 'feature-barrier'), '0')
        self.assertEqual(self.node(1, 'feature-flush-cache'), '1')
        self.assertEqual(self.node(1, 'multi-queue-max-queues'), '1')
        self.assertEqual(self.node(1, 'max-ring-page-order'), '0')


class DriverDomain(Case):
    """tapback in a domain without privileges, which serves another one."""

    def test_serves_a_guest(self):
        host, guest = 5, 1
        self.introduce(host)
        self.introduce(guest)
        there = '/local/domain/%d/backend/vbd3/%d/%d' % (host, guest, XVDA)
        inside = self.guests[host]
        self.xs.mkdir('/local/domain/%d' % host)
        self.xs.set_perms('/local/domain/%d' % host, 'n%d' % host)
        self.env['XENSTORED_PATH'] = '%s.%d' % (self.xenstored.path, host)
        with open(self.log_path, 'a', encoding='utf-8') as log:
            self.tapback = subprocess.Popen([TAPBACK, '-d'], env=self.env, stderr=log)
        tx = self.xs.start()
        for path, owner, reader in (there, host, guest), (frontend(guest), guest, host):
            self.xs.mkdir(path, tx)
            self.xs.ask(xenstore.SET_PERMS, path, 'n%d' % owner, 'r%d' % reader, tx=tx)
        self.xs.write(frontend(guest) + '/state', 1, tx)
        for name, value in {'frontend': frontend(guest), 'frontend-id': guest, 'online': 1,
                            'state': 1, 'mode': 'w'}.items():
            self.xs.write('%s/%s' % (there, name), value, tx)
        self.xs.end(tx)
        self.xs.wait_value(there + '/state', '2')
        self.assertEqual(self.xs.perms(there + '/max-ring-pages'), ['n5', 'r1'])
        inside.write('backend/vbd3/1/51712/physical-device-path',
                     '%s/nbd%d.3' % (self.run, self.tapdisk.pid))
        inside.write('backend/vbd3/1/51712/hotplug-status', 'connected')
        self.ring(guest)
        self.xs.wait_value(there + '/state', '4')
        self.xs.write_all(there, {'online': 0, 'state': 5})
        self.guest(guest, state=6)
        self.xs.wait_value(there + '/state', '6')
        self.assertEqual(self.tapdisk.rings, {})


class Xapi(Case):
    options = '-m', 'xapi'

    def barrier(self):
        self.barriers += 1
        self.introduce(999)
        self.add(999, self.barriers, **{'hotplug-status': 'connected'})
        self.wait_state(999, self.barriers, 2)
        self.xs.rm(backend(999, self.barriers))

    def marker(self, minor):
        return '%s/tapdisk/tapdisk-%d' % (self.run, minor)

    def lock_minor(self, minor):
        os.makedirs(self.run + '/tapdisk', 0o700, exist_ok=True)
        marker = os.open(self.marker(minor), os.O_CREAT | os.O_RDWR)
        self.addCleanup(os.close, marker)
        fcntl.flock(marker, fcntl.LOCK_EX)
        return marker

    def test_offer_waits_for_hotplug(self):
        self.start_tapback()
        self.add(1)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '1')
        self.hotplug(1)
        self.wait_state(1, XVDA, 2)
        self.guest(1, ring__ref=8, event__channel=9, state=3)
        self.wait_state(1, XVDA, 4)
        self.assertEqual(self.tapdisk.rings[1, XVDA]['proto'], 2, 'x86_32 unless it is said')

    def test_path_after_status(self):
        self.start_tapback()
        self.add(1, **{'hotplug-status': 'connected'})
        self.wait_state(1, XVDA, 2)
        self.ring(1)
        self.hotplug(1)
        self.wait_state(1, XVDA, 4)

    def test_physical_device(self):
        self.lock_minor(3)
        self.start_tapback()
        self.add(1, **{'physical-device': '0:3', 'hotplug-status': 'connected'})
        self.ring(1)
        self.wait_state(1, XVDA, 4)
        self.add(2, **{'physical-device': '8:3', 'hotplug-status': 'connected'})
        self.ring(2)
        self.wait_state(2, XVDA, 2)
        self.barrier()
        self.assertEqual(self.node(2, 'state'), '2', 'a device of another driver')

    def test_number_served_by_another_process(self):
        """A tapdisk that has closed the disk is not asked for it for ever."""
        marker = self.lock_minor(3)
        self.tapdisk.disks.pop(3)
        self.start_tapback()
        self.add(1, **{'physical-device': '0:3', 'hotplug-status': 'connected'})
        self.ring(1)
        self.tapdisk.wait(lambda: fake_tapdisk.INFO in self.tapdisk.calls)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '2')
        fcntl.flock(marker, fcntl.LOCK_UN)
        with subprocess.Popen([sys.executable, legacy_tapdisk.__file__, self.run, self.marker(3)],
                              stdout=subprocess.PIPE, text=True) as other:
            self.addCleanup(other.kill)
            pid = other.stdout.readline().strip()
            self.wait_state(1, XVDA, 4)
            self.assertEqual(self.node(1, 'kthread-pid'), pid)
            other.kill()

    def test_physical_device_too_early(self):
        self.start_tapback()
        self.add(1, **{'physical-device': '0:3', 'hotplug-status': 'connected'})
        self.ring(1)
        self.wait_state(1, XVDA, 2)
        self.barrier()
        self.lock_minor(3)
        self.wait_state(1, XVDA, 4)

    def test_state_of_the_toolstack(self):
        """What others write there closes nothing: the guest does, or online."""
        self.start_tapback()
        self.add(1)
        self.hotplug(1)
        self.wait_state(1, XVDA, 2)
        self.guest(1, state=2)
        self.xs.write(backend(1) + '/state', 5)
        self.barrier()
        self.assertEqual(self.node(1, 'state'), '5')
        self.xs.write(backend(1) + '/online', 0)
        self.wait_state(1, XVDA, 6)

    def test_remove_backend(self):
        self.start_tapback('-m', 'xapi', '--remove-backend')
        for domid, online in (1, 0), (2, 1):
            self.connect_xapi(domid)
            self.xs.write(backend(domid) + '/online', online)
            self.xs.rm(frontend(domid))
            self.xs.wait_value(backend(domid) + '/state', None if not online else '6')
        self.assertEqual(self.tapdisk.rings, {})

    def connect_xapi(self, domid):
        self.add(domid)
        self.hotplug(domid)
        self.wait_state(domid, XVDA, 2)
        self.ring(domid)
        self.wait_state(domid, XVDA, 4)
        self.guest(domid, state=4)

    def test_auto(self):
        self.start_tapback('-m', 'auto')
        self.add(1)
        self.wait_state(1, XVDA, 2)
        for domid, node in (2, 'sm-data'), (3, 'hotplug-path'):
            self.xs.write('%s/%s' % (backend(domid), node), '')
            self.add(domid)
            self.barrier()
            self.assertEqual(self.node(domid, 'state'), '1', node)
            self.hotplug(domid)
            self.wait_state(domid, XVDA, 2)
        # Of the same name, but made by the other one.
        self.tapback.send_signal(signal.SIGSTOP)
        self.xs.rm(backend(2))
        self.add(2)
        self.tapback.send_signal(signal.SIGCONT)
        self.wait_state(2, XVDA, 2)


if __name__ == '__main__':
    unittest.main()
