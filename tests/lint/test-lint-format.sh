#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# C is formatted by clang-format.  Releases of it differ, so one of them is the judge.
. "$(dirname "$0")/lint.sh"

judge=14
formatter=
for name in clang-format-$judge clang-format; do
    if "$name" --version 2>/dev/null | grep -q "version $judge\."; then
        formatter=$name
        break
    fi
done
test -n "$formatter" || skip "no clang-format of version $judge"
files '\.[ch]$' blktap2 bench tests | xargs "$formatter" --dry-run --Werror
