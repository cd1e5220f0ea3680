#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The Python side knows exactly the disk types of disktypes.h.
exec "$PYTHON" -W error "$top_srcdir/tests/tools/test_disk_types.py"
