#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disks as xend has known them.
. "${top_srcdir:=.}/tests/functions.sh"

"${PYTHON:-python3}" -W error "$top_srcdir/tests/tools/test_controllers.py" || fail "test_controllers.py"
