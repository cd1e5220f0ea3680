#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest reads and writes on a real tapdisk2 while tapback comes and goes.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_guest.py"
