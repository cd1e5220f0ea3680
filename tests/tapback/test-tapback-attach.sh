#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disks are offered, connected and closed, in whatever order others write their nodes.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_attach.py"
