#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The typed wrapper of tap-ctl.
. "${top_srcdir:=.}/tests/functions.sh"

"${PYTHON:-python3}" -W error "$top_srcdir/tests/tools/test_tapctl.py" || fail "test_tapctl.py"
