#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The engine, its frontends and its I/O never name an image format.
. "$(dirname "$0")/lint.sh"

files '\.[ch]$' blktap2/drivers/core blktap2/drivers/frontend blktap2/drivers/io >"$tmp/files"
{
    xargs awk -v where=yes -f "$lint/strip.awk" <"$tmp/files" |
        grep -E ':[0-9]+:.*\b(DISK_TYPE|vhd|qcow|vmdk)_' || :
    xargs grep -nE '^#[ ]*include.*disktype' <"$tmp/files" || :
} >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
