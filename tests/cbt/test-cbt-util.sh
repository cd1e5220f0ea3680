#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# cbt-util against a model of its file; the cases are in test_cbt_util.py.
. "${top_srcdir:=.}/tests/functions.sh"

cd "$tmp"
"${PYTHON:-python3}" -B "$top_srcdir/tests/cbt/test_cbt_util.py" || fail "see above"
