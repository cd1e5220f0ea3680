#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disk lines of guests' configurations.
. "${top_srcdir:=.}/tests/functions.sh"

"${PYTHON:-python3}" -W error "$top_srcdir/tests/tools/test_diskconfig.py" || fail "test_diskconfig.py"
