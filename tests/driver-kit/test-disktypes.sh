#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A fault in disktypes.h ends the build with the entry and the step of the guide.
set -e
tmp=$(mktemp -d "${TMPDIR:-/tmp}/disktypes.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
drivers=$top_srcdir/blktap2/drivers
mkdir -p "$tmp/drivers"
cp "$drivers/disktypes-gen.c" "$tmp/drivers/"

# refused NAME TEXT SED-SCRIPT: a table changed by the script is refused with TEXT.
refused() {
    sed "$3" "$drivers/disktypes.h" >"$tmp/drivers/disktypes.h"
    if cmp -s "$drivers/disktypes.h" "$tmp/drivers/disktypes.h"; then
        echo "FAIL: $1: the script changes nothing"
        exit 1
    fi
    if $CC -I"$tmp" -o "$tmp/gen" "$tmp/drivers/disktypes-gen.c" 2>"$tmp/said" &&
        "$tmp/gen" python >/dev/null 2>"$tmp/said"; then
        echo "FAIL: $1: accepted"
        exit 1
    fi
    grep -q "$2" "$tmp/said" || {
        echo "FAIL: $1: said:"
        cat "$tmp/said"
        exit 1
    }
    echo "ok: $1"
}

refused "wrong slot" 'dtypes\[6\].*not its position' 's|&null_disk,.*/\*  6 qcow.*|\&ram_disk,|'
refused "duplicate number" 'its number is taken' \
    's|^#define DISK_TYPE_RAM.*|#define DISK_TYPE_RAM 1|'
refused "number out of range" 'its number is out of range' \
    's|^#define DISK_TYPE_RAM.*|#define DISK_TYPE_RAM 20|'
refused "duplicate handle" 'its handle is taken' 's|"ram",|"aio",|'
refused "handle with a capital" 'its handle is not' 's|"ram",|"Ram",|'
refused "empty handle" 'its handle is not' 's|"ram",|"",|'
refused "no name for people" 'no name' 's|"ramdisk image (ram)"|""|'
refused "table too long" 'disktypes_fit_in_the_table' 's|^#define MAX_DISK_TYPES.*|#define MAX_DISK_TYPES 3|'

# Unchanged it compiles as C99 and C++, with and without the drivers, without a warning.
for language in "c -std=c99" c++; do
    for drivers_too in "" -DTAPDISK; do
        # shellcheck disable=SC2086
        $CC -x $language $drivers_too -Wall -Wextra -Werror -pedantic -fsyntax-only \
            "$drivers/disktypes.h"
    done
done
echo "PASS: disktypes.h is checked"
