#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A shared library exports exactly what its header promises.
. "$(dirname "$0")/lint.sh"

compared=0
compare() { # library, prefix of its names, header...
    compare_library=$1
    compare_prefix=$2
    shift 2
    test -e "$top_builddir/$compare_library" || return 0
    compared=1
    # What is inline is not exported.
    for header; do awk -f "$lint/strip.awk" "$header"; done |
        awk '/^static inline/ { inside = 1 } !inside { print } /^}/ { inside = 0 }' >"$tmp/header"
    {
        grep -oE "\b${compare_prefix}[a-z0-9_]+ *\(" "$tmp/header" | tr -d ' ('
        sed -nE "s/^extern .*\b(${compare_prefix}[a-z0-9_]+);.*/\1/p" "$tmp/header"
    } | sort -u >"$tmp/promised"
    nm -D --defined-only "$top_builddir/$compare_library" |
        awk '$2 ~ /[TDBR]/ { sub(/@.*/, "", $3); print $3 }' | sort -u >"$tmp/exported"
    diff "$tmp/promised" "$tmp/exported" || fail "$compare_library and its headers differ (< promised, > exported)"
}

compare blktap2/control/.libs/libblktapctl.so tap_ctl_ blktap2/include/tap-ctl.h
compare blktap2/vhd/lib/.libs/libvhd.so '(lib)?vhdi?_' blktap2/include/vhd/commands.h \
    blktap2/include/vhd/libvhd-index.h blktap2/include/vhd/libvhd-journal.h \
    blktap2/include/vhd/libvhd.h
test $compared -eq 1 || skip "no shared library has been built"
