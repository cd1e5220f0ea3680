# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the Python side share: the modules of the source tree, and a tap-ctl to question."""

import importlib
import os
import shutil
import sys
import tempfile
import unittest

SOURCE = os.path.join(os.environ['top_srcdir'], 'tools', 'python')
BUILD = os.path.join(os.environ['top_builddir'], 'tools', 'python')

sys.dont_write_bytecode = True


def load(*paths, name='BlktapController'):
    """Import a module afresh, its package spread over the given trees."""
    for loaded in [loaded for loaded in sys.modules if loaded.split('.')[0] == 'xen']:
        del sys.modules[loaded]
    sys.path.insert(0, SOURCE)
    try:
        package = importlib.import_module('xen.xend.server')
        package.__path__ = [os.path.join(path, 'xen', 'xend', 'server') for path in paths]
        return importlib.import_module('xen.xend.server.' + name)
    finally:
        sys.path.remove(SOURCE)


class WithStub(unittest.TestCase):
    """A test before which tap-ctl is a stub that notes how it is called."""

    def setUp(self):
        self.module = load(SOURCE, BUILD)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        os.symlink(os.path.join(os.environ['top_srcdir'], 'tests', 'tools', 'stub-tap-ctl'),
                   os.path.join(self.folder, 'tap-ctl'))
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        os.environ['PATH'] = self.folder + ':' + os.environ['PATH']
        os.environ['STUB'] = self.folder

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def read(self, name, mode='r'):
        with open(os.path.join(self.folder, name), mode) as file:
            return file.read()

    def calls(self):
        """The calls since the last time, each as "[word][word]"."""
        path = os.path.join(self.folder, 'argv')
        if not os.path.exists(path):
            return []
        found = self.read('argv').splitlines()
        os.unlink(path)
        return found
