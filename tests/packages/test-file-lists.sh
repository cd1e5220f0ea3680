#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The file lists of the packages fit what is installed.
exec "$PYTHON" -W error "$top_srcdir/tests/packages/test_file_lists.py"
