#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The server survives every seed of its fuzz target.
. "${top_srcdir:=.}/tests/functions.sh"

"${PYTHON:-python3}" "$top_srcdir/tests/nbd/fuzz-nbd-corpus.py" "$tmp/seeds"
test -e "$tmp/seeds/go-00-5" || fail "there are no seeds"
"$top_builddir/tests/nbd/fuzz-nbd-stream" "$tmp/seeds" || fail "a seed was not read"
