#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# No file includes what stands above its floor, or beside it: the table is floors.txt.
. "$(dirname "$0")/lint.sh"

files '\.[ch]$' blktap2 bench tests | xargs awk -f "$lint/floors.awk" "$lint/floors.txt"

# The test itself must be able to fail.
mkdir -p "$tmp/blktap2/drivers/core"
printf '#include "drivers/frontend/nbd.h"\n' >"$tmp/blktap2/drivers/core/a.c"
printf '#include "loop.h"\n' >"$tmp/blktap2/drivers/core/b.c"
printf '#include <libaio.h>\n' >"$tmp/blktap2/drivers/core/c.c"
cd "$tmp"
for name in a b c; do
    if awk -f "$lint/floors.awk" "$lint/floors.txt" blktap2/drivers/core/$name.c >/dev/null; then
        fail "floors.awk overlooks an include that is not allowed ($name)"
    fi
done
