# SPDX-License-Identifier: BSD-2-Clause
"""Disk lines of xm and xl."""

import os
import re
import unittest

from trees import BUILD, SOURCE, load


class Xl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.module = load(SOURCE, BUILD, name='diskconfig')

    def params(self, line):
        return self.module.parse_xl(line).params

    def test_lines_that_mean_a_tapdisk(self):
        for line, params in (
                ('/p,raw,xvda,w,backendtype=tap', 'aio:/p'),
                ('backendtype=tap,/p,raw,xvda,w', 'aio:/p'),
                ('vdev=xvda,format=vhd,backendtype=tap,target=/p', 'vhd:/p'),
                ('vdev=xvda, access=ro, format=vhd, backendtype=tap, target=/a,b c=d', 'vhd:/a,b c=d'),
                ('tap:vhd:/p,xvda,w', 'vhd:/p'),
                ('tap:tapdisk:aio:/p,,xvda', 'aio:/p'),
                ('tap2:raw:/p,xvda,r', 'aio:/p'),
                ('script=block-tap,vdev=xvda,target=qcow2:/p', 'qcow2:/p'),
                ('script=/etc/xen/scripts/block-tapdisk,vdev=xvda,target=vhd:/p', 'vhd:/p')):
            self.assertEqual(self.params(line), params, line)

    def test_every_part_is_found(self):
        disk = self.module.parse_xl('/p,raw,xvda,r,backend=driver,backendtype=tap,discard')
        self.assertEqual(disk, self.module.DiskConfig('/p', 'raw', 'xvda', 'r', 'tap', None, 'driver'))
        for access, mode in (('r', 'r'), ('ro', 'r'), ('w', 'w'), ('rw', 'w')):
            self.assertEqual(self.module.parse_xl(f'/p,raw,xvda,{access}').mode, mode)
        self.assertTrue(self.module.parse_xl('/p,raw,hdc:cdrom,r').cdrom)

    def test_what_libxl_does_not_let_a_tapdisk_serve(self):
        for line in ('vdev=xvda,format=qcow2,backendtype=tap,target=/p',
                     'vdev=xvda,format=vhd,backendtype=qdisk,target=/p',
                     'vdev=hdc,cdrom,backendtype=tap,target=/p',
                     'script=block-tap,vdev=xvda,target=/p'):
            with self.assertRaises(ValueError, msg=line):
                self.params(line)

    def test_malformed_lines(self):
        for line in ('', '/p', '/p,raw', '/p,nosuch,xvda', '/p,raw,xvda,x', '/p,raw,xvda,w,more',
                     'vdev=xvda,vdev=xvdb,target=/p', 'vdev=xvda,nosuch=1,target=/p',
                     'vdev=xvda,target=/a\nb', 'raw:qcow:/p,xvda'):
            with self.assertRaises(ValueError, msg=line):
                self.module.parse_xl(line)


class Xm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.controller = load(SOURCE, BUILD)
        cls.module = load(SOURCE, BUILD, name='diskconfig')

    def test_lines(self):
        for line, params, vdev, mode in (
                ('tap:tapdisk:aio:/p,sda1,w', 'aio:/p', 'sda1', 'w'),
                ('tap:tapdisk:aio:/a,b,sda1,r', 'aio:/a,b', 'sda1', 'r'),
                ('tap2:sync:/p,xvda,w', 'sync:/p', 'xvda', 'w')):
            disk = self.module.parse_xm(line)
            self.assertEqual((self.controller.parse_uname(disk.uname).params, disk.vdev, disk.mode),
                             (params, vdev, mode))
        self.assertEqual(self.module.parse_xm('tap:aio:/p,xvda,w,storage').backend, 'storage')

    def test_malformed_lines(self):
        for line in ('', 'tap:aio:/p', 'tap:aio:/p,xvda', 'tap:aio:/p,xvda,x', 'tap:aio:/p,,w'):
            with self.assertRaises(ValueError, msg=line):
                self.module.parse_xm(line)


class Manual(unittest.TestCase):
    """The table of blktap2-disk(7) says what the modules do."""

    def test_each_row(self):
        controller = load(SOURCE, BUILD)
        module = load(SOURCE, BUILD, name='diskconfig')
        page = os.path.join(os.environ['top_srcdir'], 'docs', 'blktap2-disk.7')
        with open(page, encoding='utf-8') as text:
            rows = re.findall(r'^\.It Li (.*) Ta Li (.*)$', text.read(), re.M)
        self.assertGreaterEqual(len(rows), 8)
        for line, params in rows:
            try:
                found = module.parse_xl(line).params
            except ValueError:
                found = controller.parse_uname(module.parse_xm(line).uname).params
            self.assertEqual(found, params, line)


if __name__ == '__main__':
    unittest.main()
