#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The stand-in for xenstored does what programs rely on.
exec "$PYTHON" -W error "$top_srcdir/tests/fakexen/test_xenstored_double.py"
