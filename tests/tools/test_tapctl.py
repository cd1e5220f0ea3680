# SPDX-License-Identifier: BSD-2-Clause
"""The typed wrapper: what it calls, what it makes of the answers, and what it refuses."""

import json
import os
import unittest

from trees import WithStub

KEY = bytes(range(32))


class Calls(WithStub):
    def setUp(self):
        super().setUp()
        self.tap = self.module.TapCtl()
        self.tap.retry_seconds = 0

    def called(self, *expected):
        self.assertEqual(self.calls(), list(expected))

    def test_each_option_of_open(self):
        for options, words in (
                ({}, ''),
                ({'readonly': True}, '[-R]'),
                ({'o_direct': False}, '[-D]'),
                ({'parent_minor': 3}, '[-e][3]'),
                ({'local_cache': True}, '[-r]'),
                ({'secondary': 'aio:/s'}, '[-2][aio:/s]'),
                ({'secondary': 'aio:/s', 'standby': True}, '[-2][aio:/s][-s]'),
                ({'timeout': 7}, '[-t][7]'),
                ({'log': '/l'}, '[-C][/l]')):
            self.tap.open(1234, 0, 'aio', '/d', **options)
            self.called(f'[open][-p][1234][-m][0][-a][aio:/d]{words}')

    def test_a_key_goes_to_the_input_and_nowhere_else(self):
        self.write('exits', '129\n')
        with self.assertRaises(self.module.TapdiskException) as caught:
            self.tap.open(1234, 0, 'aio', '/d', key=KEY)
        self.called('[open][-p][1234][-m][0][-a][aio:/d][-E]')
        self.assertEqual(self.read('stdin', 'rb'), KEY)
        self.assertNotIn(repr(KEY), repr(caught.exception) + str(caught.exception))

    def test_what_a_shell_would_read_is_passed_as_it_is(self):
        for path in ('/a b;$(id)`x`\'"', '/-leading', '/tab|le*?'):
            self.tap.open(1234, 0, 'aio', path)
            self.called(f'[open][-p][1234][-m][0][-a][aio:{path}]')

    def test_the_other_commands(self):
        for call, words in (
                (lambda: self.tap.free(3), '[free][-m][3]'),
                (lambda: self.tap.attach(9, 3), '[attach][-p][9][-m][3]'),
                (lambda: self.tap.detach(9, 3), '[detach][-p][9][-m][3]'),
                (lambda: self.tap.close(9, 3, force=True, timeout=5), '[close][-p][9][-m][3][-f][-t][5]'),
                (lambda: self.tap.pause(9, 3, timeout=5), '[pause][-p][9][-m][3][-t][5]'),
                (lambda: self.tap.unpause(9, 3), '[unpause][-p][9][-m][3]'),
                (lambda: self.tap.unpause(9, 3, dtype='aio', path='/n', secondary='null', log='/l'),
                 '[unpause][-p][9][-m][3][-a][aio:/n][-2][null][-c][/l]'),
                (lambda: self.tap.destroy(9, 3, timeout=5), '[destroy][-p][9][-m][3][-t][5]'),
                (lambda: self.tap.commit(9, 3, '/p'), '[commit][-p][9][-m][3][-a][/p]'),
                (lambda: self.tap.cancel(9, 3), '[cancel][-p][9][-m][3][-w]'),
                (lambda: self.tap.cancel(9, 3, wait=False), '[cancel][-p][9][-m][3]')):
            call()
            self.called(words)

    def test_answers_are_read(self):
        self.write('out', '/run/blktap-control/tapdisk/tapdisk-12\n')
        self.assertEqual(self.tap.allocate(), (12, '/run/blktap-control/tapdisk/tapdisk-12'))
        self.assertEqual(self.tap.create('aio', '/d'), ('/run/blktap-control/tapdisk/tapdisk-12', 12))
        self.write('out', "Commit status 'running' (5/70)\n")
        self.assertEqual(self.tap.query(9, 3), ('running', 5, 70))
        self.write('out', '{ "secs": [ 1, 2 ] }\n\n')
        self.assertEqual(self.tap.stats(9, 3), {'secs': [1, 2]})
        self.write('out', 'tap-ctl 3.0\n')
        self.assertEqual(self.tap.version(), 'tap-ctl 3.0')

    def test_exit_codes_are_error_numbers(self):
        for code in (2, 16, 110, 123):
            self.write('exits', f'{code}\n')
            with self.assertRaises(self.module.TapdiskException) as caught:
                self.tap.pause(1234, 0)
            self.assertEqual(caught.exception.errno, code)
            self.assertIn(os.strerror(code), str(caught.exception))
            self.assertIn('tap-ctl: stub: no', str(caught.exception))

    def test_spawn_is_tried_again_only_where_that_may_help(self):
        self.write('exits', '1\n1\n0\n')
        self.write('out', '4711\n')
        self.assertEqual(self.tap.spawn(), 4711)
        self.called('[spawn]', '[spawn]', '[spawn]')
        self.write('exits', '1\n1\n1\n')
        with self.assertRaises(self.module.TapdiskException):
            self.tap.spawn(retries=1)
        self.called('[spawn]', '[spawn]')
        self.write('exits', '2\n')
        with self.assertRaises(self.module.TapdiskException):
            self.tap.spawn()
        self.called('[spawn]')

    def test_what_cannot_be_right_is_not_even_called(self):
        for call in (
                lambda: self.tap.free(16384),
                lambda: self.tap.free(-1),
                lambda: self.tap.attach(1, 0),
                lambda: self.tap.open(9, 0, 'nosuch', '/d'),
                lambda: self.tap.open(9, 0, 'aio', 'relative'),
                lambda: self.tap.open(9, 0, 'aio', '/new\nline'),
                lambda: self.tap.open(9, 0, 'aio', '/d', standby=True),
                lambda: self.tap.open(9, 0, 'aio', '/d', key=b'short'),
                lambda: self.tap.unpause(9, 0, dtype='aio')):
            with self.assertRaises(ValueError):
                call()
        self.assertEqual(self.calls(), [])


LINES = '''\
pid=1234 minor=0 state=0 args=vhd:/path/with blank=x.vhd
pid=1234 minor=1 state=0x2a args=aio:/a:b
pid=1234 minor=4 state=0x2
pid=77
minor=3
'''


class Rows(WithStub):
    def expected(self):
        row = self.module.tapctl.TapRow
        return [row(1234, 0, 0, 'vhd', '/path/with blank=x.vhd'), row(1234, 1, 0x2a, 'aio', '/a:b'),
                row(1234, 4, 2), row(77), row(None, 3)]

    def test_lines_of_a_tool_without_json(self):
        tap = self.module.TapCtl()
        self.write('exits', '22\n')
        self.write('out', LINES)
        self.assertEqual(tap.list(), self.expected())
        self.assertEqual(self.calls(), ['[list][--json]', '[list]'])
        self.assertEqual(tap.list(pid=77, minor=3), self.expected())
        self.assertEqual(self.calls(), ['[list][-p][77][-m][3]'])

    def test_json(self):
        keys = ('pid', 'minor', 'state', 'type', 'path')
        self.write('out', json.dumps([dict(zip(keys, row)) for row in self.expected()]))
        self.assertEqual(self.module.TapCtl().list(dtype='aio', path='/a'), self.expected())
        self.assertEqual(self.calls(), ['[list][-t][aio][-f][/a][--json]'])

    def test_states(self):
        row = self.module.tapctl.TapRow
        self.assertEqual([(r.paused, r.pausing, r.closed) for r in (
            row(9, 0, 0), row(9, 0, 0x14), row(9, 0, 0x2a), row(9, 0, 2), row(9))],
            [(False,) * 3, (False, True, False), (True, False, True), (False, False, True), (False,) * 3])
        os.environ['BLKTAP_CONTROL_DIR'] = '/c'
        self.assertEqual(row(9, 5).nbd_path, '/c/nbd9.5')
        self.assertIsNone(row(9).nbd_path)

    def test_sockets_are_where_the_configuration_says(self):
        path = self.module.tapctl.TapRow(9, 5)
        os.environ.pop('BLKTAP_CONTROL_DIR', None)
        self.module.tapctl.CONF_FILE = os.path.join(self.folder, 'conf')
        self.assertEqual(path.nbd_path, '/run/blktap-control/nbd9.5')
        self.write('conf', '# control-dir = /a\ncontrol-dir =\n control-dir = /b c # here\ncontrol-dir = /d\n')
        self.assertEqual(path.nbd_path, '/b c/nbd9.5')

    def test_find(self):
        tap = self.module.TapCtl()
        self.write('out', '[]')
        self.assertIsNone(tap.find('aio', '/d'))
        self.write('out', '[{"pid": 9, "minor": 1, "state": 0, "type": "aio", "path": "/d"}]')
        self.assertEqual(tap.find('aio', '/d').pid, 9)
        self.write('out', '[{"pid": 9}, {"pid": 10}]')
        with self.assertRaises(self.module.TapdiskException):
            tap.find('aio', '/d')

    def test_the_classic_controller_reads_the_same_lines(self):
        self.write('out', LINES)
        rows = self.module.TapdiskController.list()
        self.assertEqual([(r.pid, r.minor, r.state, r.dtype, r.image) for r in rows], [
            ('1234', 0, '0', 'vhd', '/path/with blank=x.vhd'), ('1234', 1, '0x2a', 'aio', '/a:b'),
            ('1234', 4, '0x2', '', None), ('77', -1, None, '', None), (None, 3, None, '', None)])
        self.assertEqual(str(rows[1]), 'image=/a:b pid=1234 minor=1 state=0x2a type=aio '
                         'device=/dev/xen/blktap-2/tapdev1')


if __name__ == '__main__':
    unittest.main()
