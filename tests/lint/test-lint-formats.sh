#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The engine, its frontends and its I/O never name an image format.
. "$(dirname "$0")/lint.sh"

files '\.[ch]$' blktap2/drivers/core blktap2/drivers/frontend blktap2/drivers/io |
    while read -r file; do
        awk -f "$lint/strip.awk" "$file" | grep -nE '\b(DISK_TYPE|vhd|qcow|vmdk)_' |
            sed "s,^,$file:," || :
        grep -nE '^#[ ]*include.*disktype' "$file" | sed "s,^,$file:," || :
    done >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
