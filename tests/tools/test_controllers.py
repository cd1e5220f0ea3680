# SPDX-License-Identifier: BSD-2-Clause
"""Disks as xend has known them: with the real tap-ctl, and with base classes that fail."""

import os
import tempfile
import unittest
from unittest import mock

from trees import BUILD, SOURCE, WithStub, load


class WithTapCtl(unittest.TestCase):
    """In a control directory of its own, which the calling script gives."""

    def setUp(self):
        self.module = load(SOURCE, BUILD)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.image = os.path.join(self.folder.name, 'disk with blank.img')
        with open(self.image, 'wb') as image:
            image.truncate(1 << 20)

    def test_a_disk_lives_and_ends(self):
        controller = self.module.TapdiskController
        marker = controller.create('aio', self.image)
        disk = controller.fromDevice(marker)
        self.assertEqual((disk.dtype, disk.image, disk.state), ('aio', self.image, '0'))
        folder = os.environ['BLKTAP_CONTROL_DIR']
        self.assertEqual(controller.fromDevice(f'{folder}/nbd{disk.pid}.{disk.minor}').pid, disk.pid)
        controller.pause(marker)
        self.assertEqual(controller.fromDevice(marker).state, '0x2a')
        controller.unpause(marker)
        self.assertEqual(controller.fromDevice(marker).state, '0')
        controller.destroy(marker)
        self.assertIsNone(controller.fromDevice(marker))
        controller.destroy(marker)

    def test_the_typed_wrapper_sees_the_same(self):
        tap = self.module.TapCtl()
        marker, minor = tap.create('aio', self.image, readonly=True)
        row = tap.find('aio', self.image)
        self.assertEqual((row.minor, row.paused), (minor, False))
        self.assertTrue(os.path.exists(row.nbd_path))
        self.assertEqual(tap.info(row.pid, minor)['sectors'], 2048)
        self.assertEqual(tap.stats(row.pid, minor)['name'], f'aio:{self.image}')
        tap.pause(row.pid, minor)
        self.assertTrue(tap.list(minor=minor)[0].paused)
        tap.destroy(row.pid, minor)
        self.assertIsNone(tap.find('aio', self.image))
        with self.assertRaises(self.module.TapdiskException) as caught:
            tap.create('aio', '/nonexistent')
        self.assertEqual(caught.exception.errno, 2)
        self.assertTrue(marker.endswith(f'tapdisk-{minor}'))


class Devices(WithStub):
    """createDevice and its kin, with the base class played by mocks."""

    UNAME = 'tap:tapdisk:aio:/d'

    def setUp(self):
        super().setUp()
        self.vm = mock.Mock()
        self.vm.getDomainPath.return_value = '/local/domain/7'
        self.vm.getDomid.return_value = 7
        self.device = self.module.Blktap2Controller(self.vm)
        self.base = self.module.Blktap2Controller.__mro__[2]
        for name, result in (('check', -1), ('create', '/run/c/tapdisk/tapdisk-4'), ('destroy', None),
                             ('fromDevice', self.module.Tapdisk('99', 4))):
            patch = mock.patch.object(self.module.TapdiskController, name, return_value=result)
            setattr(self, name, patch.start())
            self.addCleanup(patch.stop)

    def test_the_base_class_sees_the_tapdisk_and_the_caller_his_own_words(self):
        seen = {}
        with mock.patch.object(self.base, 'createDevice', lambda _, config: seen.update(config) or 51712):
            config = {'uname': self.UNAME, 'dev': 'xvda'}
            self.assertEqual(self.device.createDevice(config), 51712)
        self.assertEqual(config, {'uname': self.UNAME, 'dev': 'xvda'})
        self.assertEqual(seen['tapdisk_uname'], self.UNAME)
        _, back, _ = self.device.getDeviceDetails(seen)
        self.assertEqual(back, {
            'tapdisk-params': 'tapdisk:aio:/d', 'type': 'vbd3', 'params': 'aio:/d', 'pid': '99', 'minor': 4,
            'physical-device-path': '/run/c/nbd99.4', 'hotplug-status': 'connected'})
        self.destroy.assert_not_called()

    def test_with_a_kernel_device_the_base_class_sees_that(self):
        self.create.return_value = '/dev/xen/blktap-2/tapdev3'
        seen = {}
        with mock.patch.object(self.base, 'createDevice', lambda _, config: seen.update(config)):
            self.device.createDevice({'uname': self.UNAME})
        self.assertEqual(seen['uname'], 'phy:/dev/xen/blktap-2/tapdev3')
        _, back, _ = self.device.getDeviceDetails(seen)
        self.assertEqual(back, {'tapdisk-params': 'tapdisk:aio:/d'})

    def test_when_the_base_class_fails_nothing_stays(self):
        config = {'uname': self.UNAME}
        with mock.patch.object(self.base, 'createDevice', side_effect=RuntimeError):
            with self.assertRaises(RuntimeError):
                self.device.createDevice(config)
        self.assertEqual(config, {'uname': self.UNAME})
        self.destroy.assert_called_once_with('/run/c/tapdisk/tapdisk-4')

    def test_what_is_no_disk_for_us_is_refused_before_anything_is_started(self):
        for uname in ('tap:ioemu:aio:/d', 'tap:nosuch:/d', 'phy:/d'):
            with self.assertRaises(ValueError):
                self.device.createDevice({'uname': uname})
        self.create.assert_not_called()

    def test_paths(self):
        backdom = mock.Mock()
        backdom.getDomainPath.return_value = '/local/domain/0'
        self.assertEqual(self.device.frontendRoot(), '/local/domain/7/device/vbd')
        self.assertEqual(self.device.backendPath(backdom, 51712), '/local/domain/0/backend/vbd3/7/51712')
        self.check.return_value = 0
        self.assertEqual(self.device.backendPath(backdom, 51712), '/local/domain/0/backend/vbd/7/51712')

    def test_the_configuration_has_the_name_again(self):
        with mock.patch.object(self.base, 'readBackend', return_value='tapdisk:aio:/d'):
            self.assertEqual(self.device.getDeviceConfiguration(1)['uname'], 'tap:tapdisk:aio:/d')

    def test_the_tapdisk_ends_when_the_backend_has_gone_or_does_not_go(self):
        self.device.LOOK_SECONDS = 0
        with mock.patch.object(self.base, 'backendExists', side_effect=[True, True, False]) as exists:
            self.device.finishDeviceCleanup('/b', '/run/c/tapdisk/tapdisk-4')
        self.assertEqual(exists.call_count, 3)
        self.device.CLEANUP_SECONDS = 0
        with mock.patch.object(self.base, 'backendExists', return_value=True):
            self.device.finishDeviceCleanup('/b', '/run/c/tapdisk/tapdisk-4')
        self.assertEqual(self.destroy.call_count, 2)


class Command(WithStub):
    def test_check_and_create_and_destroy_call_tap_ctl_as_ever(self):
        controller = self.module.TapdiskController
        self.write('out', 'ok\n')
        self.assertEqual(controller.check(), 0)
        self.calls()
        controller.create('aio', '/d $x')
        self.assertEqual(self.calls(), ['[check]', '[create][-aaio:/d $x][-K]'])
        self.write('exits', '38\n')
        controller.create('aio', '/d')
        self.assertEqual(self.calls(), ['[check]', '[create][-aaio:/d]'])
        self.write('out', 'pid=9 minor=2 state=0 args=aio:/d\nminor=3\n')
        controller.destroy('/x/tapdisk/tapdisk-2')
        self.assertEqual(self.calls(), ['[list]', '[destroy][-p9][-m2]'])
        controller.destroy('/x/tapdisk/tapdisk-3')
        self.assertEqual(self.calls(), ['[list]', '[free][-m3]'])
        controller.destroy('/x/tapdisk/tapdisk-7')
        self.assertEqual(self.calls(), ['[list]'])

    def test_a_device_of_the_kernel_is_known_by_its_name(self):
        # ... and not by the numbers of what it stands for, which may be gone.
        controller = self.module.TapdiskController
        self.write('out', 'pid=8 minor=0 state=0 args=aio:/c\npid=9 minor=2 state=0 args=aio:/d\n')
        with mock.patch.object(controller, 'TAP_DEV', os.path.join(self.folder, 'tapdev')):
            for target in '/dev/nbd0', '/dev/null':
                device = controller.TAP_DEV + '2'
                os.symlink(target, device)
                controller.destroy(device)
                self.assertEqual(self.calls(), ['[list]', '[destroy][-p9][-m2]'])
                os.unlink(device)
            for device in controller.TAP_DEV, controller.TAP_DEV + '2p1', controller.TAP_DEV + '2\n':
                self.assertIsNone(controller.fromDevice(device))

    def test_a_name_of_any_bytes_is_one_disk(self):
        image = '/\u2028pid=1 minor=0 state=0 args=aio:/\r\x85\f\udcff'
        out = f'pid=8 minor=0 state=0 args=aio:{image}\npid=9 minor=2 state=0 args=aio:/d\n'
        with open(os.path.join(self.folder, 'out'), 'wb') as file:
            file.write(out.encode('utf-8', 'surrogateescape'))
        self.assertEqual([(disk.pid, disk.image) for disk in self.module.TapdiskController.list()],
                         [('8', image), ('9', '/d')])
        self.write('exits', '22\n')  # without --json
        self.assertEqual([(row.pid, row.path) for row in self.module.TapCtl().list()],
                         [(8, image), (9, '/d')])

    def test_a_host_without_disks_has_none(self):
        self.write('out', '')
        self.assertEqual(self.module.TapdiskController.list(), [])

    def test_a_failure_says_everything(self):
        self.write('exits', '16\n')
        with self.assertRaises(self.module.TapdiskException) as caught:
            self.module.TapdiskController.exc('free', '-m3')
        self.assertEqual(str(caught.exception), "('free', '-m3') failed (16  tap-ctl: stub: no)")
        self.assertEqual(caught.exception.rc, 16)


if __name__ == '__main__':
    unittest.main()
