#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What guests, and careless toolstacks, write does no harm, and holds nobody else up.
exec "$PYTHON" -W error "$top_srcdir/tests/tapback/test_tapback_hostile.py"
