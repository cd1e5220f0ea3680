#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A shared library exports exactly what its header promises.
. "$(dirname "$0")/lint.sh"

compared=0
compare() { # library, header, prefix of its names
    test -e "$top_builddir/$1" || return 0
    compared=1
    awk -f "$lint/strip.awk" "$2" >"$tmp/header"
    {
        grep -oE "\b$3[a-z0-9_]+ *\(" "$tmp/header" | tr -d ' ('
        sed -nE "s/^extern .*\b($3[a-z0-9_]+);.*/\1/p" "$tmp/header"
    } | sort -u >"$tmp/promised"
    nm -D --defined-only "$top_builddir/$1" |
        awk '$2 ~ /[TDBR]/ { sub(/@.*/, "", $3); print $3 }' | sort -u >"$tmp/exported"
    diff "$tmp/promised" "$tmp/exported" || fail "$1 and $2 differ (< promised, > exported)"
}

compare blktap2/control/.libs/libblktapctl.so blktap2/include/tap-ctl.h tap_ctl_
compare blktap2/vhd/lib/.libs/libvhd.so blktap2/include/libvhd.h vhd_
test $compared -eq 1 || skip "no shared library has been built"
