#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tapback, tapdisks and xenstored end, die and come back; guests do not notice, or are told.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_restart.py"
