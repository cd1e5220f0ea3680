#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The command line of tapback, other instances, the service manager, monitors, other toolstacks.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_process.py"
