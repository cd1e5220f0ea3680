# SPDX-License-Identifier: BSD-2-Clause
"""Where the programs of this tree are, once built."""

import os

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


class Tree:
    """A build directory.  Raises ValueError when none is found."""

    def __init__(self, build=None):
        places = [build] if build else [os.environ.get("top_builddir"), os.getcwd(), SOURCE,
                                        os.path.join(SOURCE, "build")]
        for place in places:
            if place and os.access(os.path.join(place, "bench/nbd-load"), os.X_OK):
                self.build = os.path.realpath(place)
                return
        raise ValueError("bench/nbd-load is not built in %s" % " or ".join(filter(None, places)))

    def program(self, path):
        """The absolute path of a built program, or None."""
        full = os.path.join(self.build, path)
        return full if os.access(full, os.X_OK) else None

    @property
    def nbd_load(self):
        return self.program("bench/nbd-load")

    @property
    def tapdisk2(self):
        return self.program("blktap2/drivers/tapdisk2")

    @property
    def tap_ctl(self):
        return self.program("blktap2/control/tap-ctl")
