#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Nothing calls what forbidden.txt forbids.
. "$(dirname "$0")/lint.sh"

files '\.[ch]$' blktap2 bench tests | xargs awk -v where=yes -f "$lint/strip.awk" |
    awk -F: -f "$lint/calls.awk" "$lint/forbidden.txt" - >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
