# SPDX-License-Identifier: BSD-2-Clause
"""What the rules for udev make of a device, judged by as much of udev's language as they use."""

import fnmatch
import re
import sys
import unittest
from typing import Dict, List, NamedTuple, Optional, Set

RULES = sys.argv.pop(1)
TOKEN = re.compile(r'([A-Z_]+)(?:\{(\w+)\})?(==|!=|\+=|=)"([^"]*)"')


class Device(NamedTuple):
    """A device, and the disk that it is a part of."""

    subsystem: str
    kernel: str
    devtype: str = 'disk'
    minor: int = 0
    attributes: Dict[str, str] = {}
    disk: Optional['Device'] = None

    @property
    def number(self) -> str:
        return re.sub('.*[^0-9]', '', self.kernel)


class Judge:
    """udev, at work on one device."""

    def __init__(self, device: Device, files: Set[str]) -> None:
        self.device = device
        self.files = files
        self.env = {'DEVTYPE': device.devtype}
        self.links: List[str] = []
        self.options: List[str] = []
        self.mode = ''
        self.goto = ''
        with open(RULES, encoding='ascii') as rules:
            for line in rules:
                if not line.startswith('#'):
                    self.line([match.groups() for match in TOKEN.finditer(line)])

    def filled(self, text: str) -> str:
        return (text.replace('%n', self.device.number).replace('%k', self.device.kernel)
                .replace('%m', str(self.device.minor)))

    def found(self, key: str, name: str) -> Optional[str]:
        """The value that a match is about."""
        device = self.device
        if key == 'ENV':
            return self.env.get(name, '')
        if key == 'ATTR':
            return device.attributes.get(name)
        if key == 'ATTRS':
            above = device.disk.attributes if device.disk else {}
            return device.attributes.get(name, above.get(name))
        return {'SUBSYSTEM': device.subsystem, 'KERNEL': device.kernel}[key]

    def matches(self, key: str, name: str, value: str) -> bool:
        if key == 'TEST':
            return self.filled(value) in self.files
        found = self.found(key, name)
        return found is not None and fnmatch.fnmatchcase(found, value)

    def line(self, tokens) -> None:
        labels = [value for key, _, _, value in tokens if key == 'LABEL']
        if self.goto and self.goto not in labels:
            return
        self.goto = ''
        for key, name, operator, value in tokens:
            if operator in ('==', '!='):
                if self.matches(key, name, value) != (operator == '=='):
                    return
            else:
                self.act(key, name, self.filled(value))

    def act(self, key: str, name: str, value: str) -> None:
        if key == 'IMPORT':
            assert name == 'parent' and self.device.disk, 'of a device without one'
            above = Judge(self.device.disk, self.files).env
            self.env.update({found: above[found] for found in fnmatch.filter(above, value)})
        elif key == 'ENV':
            self.env[name] = value
        elif key == 'SYMLINK':
            self.links.append(value)
        elif key == 'OPTIONS':
            self.options.append(value)
        elif key == 'MODE':
            self.mode = value
        elif key == 'GOTO':
            self.goto = value
        else:
            assert key == 'LABEL', key


class Devices(unittest.TestCase):
    def judge(self, device: Device, *minors: int) -> Judge:
        return Judge(device, {f'{CONTROL}/tapdisk/tapdisk-{minor}' for minor in minors})

    def guests(self, device: Device, *minors: int) -> Judge:
        """Nothing of the host looks into it."""
        judge = self.judge(device, *minors)
        self.assertEqual((judge.mode, judge.options), ('0600', ['nowatch']), device)
        for name, value in (('UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG', '1'),
                            ('SYSTEMD_READY', '0'), ('DM_MULTIPATH_DEVICE_PATH', '0')):
            self.assertEqual(judge.env.get(name), value, device)
        return judge

    def others(self, device: Device, *minors: int) -> None:
        judge = self.judge(device, *minors)
        self.assertEqual((judge.mode, judge.options, judge.links), ('', [], []), device)
        self.assertEqual(judge.env, {'DEVTYPE': device.devtype}, device)

    def test_the_nodes_of_the_classic_driver_have_their_names(self):
        control = self.judge(Device('misc', 'blktap-control', ''))
        self.assertEqual((control.links, control.mode), (['xen/blktap-2/control'], '0600'))
        ring = self.judge(Device('blktap2', 'blktap12', ''))
        self.assertEqual((ring.links, ring.mode), (['xen/blktap-2/blktap12'], '0600'))
        for kernel in 'tapdevc', 'tdc':
            disk = self.guests(Device('block', kernel, minor=2))
            self.assertEqual(disk.links, ['xen/blktap-2/tapdev2'])

    def test_a_disk_on_the_nbd_client_and_its_partitions_are_the_guests(self):
        disk = Device('block', 'nbd0', attributes={'backend': 'tapdisk2:77.3'})
        self.guests(disk)
        self.guests(Device('block', 'nbd0p1', 'partition', disk=disk))

    def test_a_disk_on_ublk_and_its_partitions_are_the_guests(self):
        disk = Device('block', 'ublkb12')
        self.guests(disk, 12)
        self.guests(Device('block', 'ublkb12p1', 'partition', disk=disk), 12)

    def test_devices_of_others_stay_as_they_are(self):
        for attributes in {}, {'backend': 'qemu'}:
            disk = Device('block', 'nbd0', attributes=attributes)
            self.others(disk, 0)
            self.others(Device('block', 'nbd0p1', 'partition', disk=disk), 0, 1)
        disk = Device('block', 'ublkb9')
        self.others(disk, 1)
        self.others(Device('block', 'ublkb9p1', 'partition', disk=disk), 1)
        disk = Device('block', 'sda')
        self.others(disk, 0, 1)
        self.others(Device('block', 'sda1', 'partition', disk=disk), 0, 1)
        self.others(Device('net', 'eth0', ''))


with open(RULES, encoding='ascii') as text:
    CONTROL = re.search('TEST=="(/.*)/tapdisk/tapdisk-%n"', text.read())[1]

if __name__ == '__main__':
    unittest.main()
