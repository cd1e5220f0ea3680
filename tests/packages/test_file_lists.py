# SPDX-License-Identifier: BSD-2-Clause
"""Every file that is installed belongs to exactly one package, and is in the same in both families."""

import fnmatch
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import file_lists  # noqa: E402

SOURCE = os.environ['top_srcdir']
DEBIAN = os.path.join(SOURCE, 'debian')
SPEC = os.path.join(SOURCE, 'rpm', 'blktap2.spec')


class FileLists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as root:
            cls.files = file_lists.installed(os.environ['top_builddir'], root)
        cls.debs = file_lists.of_debs(DEBIAN)
        cls.rpms = file_lists.of_rpms(SPEC)

    def each_once(self, lists, where):
        owners = {path: file_lists.owners(path, lists) for path in self.files}
        wrong = {path: packages for path, packages in owners.items() if len(packages) != 1}
        self.assertEqual(wrong, {}, f'each of these files must be listed once in {where}')

    def nothing_else(self, lists, where):
        with open(os.path.join(os.environ['top_builddir'], 'config.h'), encoding='ascii') as config:
            if '#define HAVE_XEN 1' not in config.read():
                self.skipTest('packages have what is built with Xen, and this is without')
        for package, patterns in lists.items():
            for pattern in patterns:
                self.assertTrue(fnmatch.filter(self.files, pattern),
                                f'{where} of {package} lists {pattern}: no such file is installed')

    def test_each_file_is_in_one_deb(self):
        self.each_once(self.debs, 'debian/*.install')

    def test_the_lists_of_debs_name_nothing_else(self):
        self.nothing_else(self.debs, 'debian/*.install')

    def test_each_file_is_in_one_rpm(self):
        self.each_once(self.rpms, 'rpm/blktap2.spec')

    def test_the_lists_of_rpms_name_nothing_else(self):
        self.nothing_else(self.rpms, '%files')

    def test_both_families_are_split_in_the_same_way(self):
        for path in self.files:
            deb = file_lists.owners(path, self.debs)
            rpm = file_lists.owners(path, self.rpms)
            self.assertEqual([file_lists.RPM_OF_DEB[package] for package in deb], rpm, path)


if __name__ == '__main__':
    unittest.main()
