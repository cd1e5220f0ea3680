# SPDX-License-Identifier: BSD-2-Clause
"""The list of disk types, and the names of disks."""

import os
import random
import unittest

from trees import BUILD, SOURCE, load


class DiskTypes(unittest.TestCase):
    def generated(self):
        path = os.path.join(BUILD, 'xen', 'xend', 'server', 'blktap_disk_types_gen.py')
        names = {}
        with open(path, encoding='ascii') as module:
            exec(module.read(), names)  # the file is the build's own
        return names['HANDLES']

    def test_without_the_generated_file_the_literal_list_holds_what_is_shipped(self):
        module = load(os.path.join(SOURCE))
        self.assertEqual(set(self.generated()) - set(module.blktap_disk_types), set())

    def test_the_generated_handles_are_in_the_list_once(self):
        module = load(SOURCE, BUILD)
        for handle in self.generated():
            self.assertEqual(module.blktap_disk_types.count(handle), 1, handle)
        self.assertEqual(module.blktap2_disk_types, module.blktap_disk_types)
        self.assertEqual(module.blktap1_disk_types, [])

    def test_handles_are_well_formed_and_padding_is_left_out(self):
        module = load(SOURCE, BUILD)
        for handle in module.blktap_disk_types:
            self.assertRegex(handle, '^[a-z0-9]{1,9}$')
        self.assertNotIn('null', module.blktap_disk_types)


class Unames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.module = load(SOURCE, BUILD)

    def test_all_forms_mean_the_same_disk(self):
        for uname in ('tap:aio:/p', 'tap2:aio:/p', 'tap:tapdisk:aio:/p', 'tap2:tapdisk:aio:/p'):
            parsed = self.module.parse_uname(uname)
            self.assertEqual(parsed.params, 'aio:/p')
            self.assertEqual(str(parsed), 'tap:tapdisk:aio:/p')

    def test_the_file_keeps_every_further_character(self):
        parsed = self.module.parse_uname('tap:aio:/a:b|c d,e')
        self.assertEqual(parsed.file, '/a:b|c d,e')

    def test_malformed_names_are_refused(self):
        for uname in ('ta:aio:/x', 't:aio:/x', 'tap:tapdisk:/x', 'tap::/x', 'tap:aio:', 'tap',
                      'tap:nosuch:/x', 'tap:aio:/a\nb', 'tap:aio:/a|nosuch:/b'):
            with self.assertRaises(ValueError, msg=uname):
                self.module.parse_uname(uname)

    def test_what_is_printed_is_parsed_back(self):
        for uname in ('tap:tapdisk:aio:/p', 'tap:ioemu:sync:/a:b', 'tap:tapdisk:ram:/c d'):
            self.assertEqual(str(self.module.parse_uname(uname)), uname)

    def test_random_names_are_printed_and_parsed_back(self):
        seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
        print(f'# SEED={seed}')
        dice = random.Random(seed)
        letters = [chr(code) for code in range(0x20, 0x7F)] + ['\u00e4', '\u20ac']
        for _ in range(500):
            file = '/' + ''.join(dice.choices([c for c in letters if c != '|'], k=dice.randint(1, 40)))
            name = self.module.TapUname(dice.choice(('tap', 'tap2')), 'tapdisk',
                                        dice.choice(self.module.blktap_disk_types), file)
            again = self.module.parse_uname(str(name))
            self.assertEqual((again.dtype, again.file), (name.dtype, name.file))


if __name__ == '__main__':
    unittest.main()
