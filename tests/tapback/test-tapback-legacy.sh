#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disks of tapdisks that know only the legacy protocol are connected and adopted, within its limits.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_legacy.py"
