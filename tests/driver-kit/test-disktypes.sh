#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A fault in disktypes.h ends the build, and a driver with holes the start of tapdisk2, with the entry and
# the step of the guide.
. "${top_srcdir:=.}/tests/functions.sh"
: "${CC:=cc}"
drivers=$top_srcdir/blktap2/drivers
mkdir "$tmp/drivers"
cp "$drivers/disktypes-gen.c" "$drivers/disktypes-check.h" "$drivers/tapdisk-disktype.c" \
    "$drivers/tapdisk-disktype.h" "$tmp/drivers/"
table=$tmp/drivers/disktypes.h

# change SED-SCRIPT: a table of our own, changed by the script.
change() {
    sed "$1" "$drivers/disktypes.h" >"$table"
    ! cmp -s "$drivers/disktypes.h" "$table" || fail "the script changes nothing: $1"
}

# refused NAME TEXT SED-SCRIPT: the build refuses a table changed by the script with TEXT.
refused() {
    change "$3"
    # shellcheck disable=SC2086 # CC may have options
    if $CC -I"$tmp" -o "$tmp/gen" "$tmp/drivers/disktypes-gen.c" 2>"$tmp/said" &&
        "$tmp/gen" python >/dev/null 2>"$tmp/said"; then
        fail "$1: accepted"
    fi
    grep -q "$2" "$tmp/said" || fail "$1: said: $(cat "$tmp/said")"
    echo "# ok: $1"
}

ram='s|^#define DISK_TYPE_RAM.*|#define DISK_TYPE_RAM'
refused "wrong slot" 'dtypes\[6\].*not its position.*step 4' 's|&null_disk,.*/\*  6 qcow.*|\&ram_disk,|'
refused "duplicate number" 'dtypes\[5\].*its number is taken.*step 2' "$ram 1|"
refused "number out of range" 'its number is out of range.*step 2' "$ram 20|"
refused "number below the range" 'its number is out of range.*step 2' "$ram -2|"
refused "duplicate handle" 'its handle is taken.*step 3' 's|"ram",|"aio",|'
refused "handle with a capital" 'its handle is not.*step 3' 's|"ram",|"Ram",|'
refused "empty handle" 'its handle is not.*step 3' 's|"ram",|"",|'
refused "handle of ten characters" 'its handle is not.*step 3' 's|"ram",|"tencharact",|'
refused "handle that overflows" 'its handle is not.*step 3' 's|"ram",|"elevenchars",|'
refused "no name for people" 'no name.*step 3' 's|"ramdisk image (ram)"|""|'
refused "table too long" 'disktypes_fit_in_the_table' 's|^#define MAX_DISK_TYPES.*|#define MAX_DISK_TYPES 3|'

# What the start of tapdisk2 checks: the table above, and that each driver has what is required.
cat >"$tmp/main.c" <<'END'
#include <stddef.h>
#include <tapdisk.h>
#include "common/reason.h"
#include "drivers/tapdisk-disktype.h"

static int open_it(td_driver_t *driver, const char *name, td_flag_t flags)
{
	return !driver || !name || flags;
}
static int close_it(td_driver_t *driver) { return !driver; }
static int parent(td_driver_t *driver, td_disk_id_t *id) { return !driver || !id; }
static int validate(td_driver_t *child, td_driver_t *above, td_flag_t flags)
{
	return !child || !above || flags;
}
static void queue(td_driver_t *driver, td_request_t treq) { (void)driver; (void)treq; }

#define WHOLE { .td_open = open_it, .td_close = close_it, .td_get_parent_id = parent, \
	.td_validate_parent = validate, .td_queue_read = queue, .td_queue_write = queue }
#define HOLED { .td_open = open_it, .td_close = close_it, .td_get_parent_id = parent, \
	.td_validate_parent = validate, .td_queue_read = queue }

struct tap_disk tapdisk_ram = RAM;
END
sed -n '/tapdisk_ram/d; s/^extern \(struct tap_disk .*\);/\1 = WHOLE;/p' "$drivers/disktypes.h" >>"$tmp/main.c"
cat >>"$tmp/main.c" <<'END'

int main(void)
{
	struct reason why = { "" };
	int err = tapdisk_disktype_check(&why);

	puts(why.text);
	return -err;
}
END

# start RAM: what the check says of a table whose driver ram is RAM ("WHOLE", "HOLED"), and its exit code.
start() {
    # shellcheck disable=SC2086 # CC may have options
    $CC -D_GNU_SOURCE "-DRAM=$1" -I"$tmp" -I"$top_srcdir/blktap2" -I"$top_srcdir/blktap2/include" \
        -o "$tmp/start" "$tmp/main.c" "$tmp/drivers/tapdisk-disktype.c" || fail "the check does not build"
    expect_exit "$2" "$tmp/start"
}
cp "$drivers/disktypes.h" "$table"
start WHOLE 0
start HOLED 22
grep -q 'dtypes\[5\] ("ram"): its driver lacks a function' "$tmp/out" || fail "said: $(cat "$tmp/out")"
change 's|^	&tapdisk_ram,|	0,|'
start WHOLE 22
grep -q '("ram"): it has no driver.*step 3' "$tmp/out" || fail "said: $(cat "$tmp/out")"
change "$ram 1|"
start WHOLE 22
grep -q '("ram"): its number is taken' "$tmp/out" || fail "said: $(cat "$tmp/out")"

# Unchanged it compiles as C99 and C++, with and without the drivers, without a warning.
# compiles OPTION...: the header alone.
compiles() {
    # shellcheck disable=SC2086 # CC may have options
    $CC "$@" -Wall -Wextra -Werror -pedantic -fsyntax-only "$drivers/disktypes.h" || fail "disktypes.h: $*"
}
compiles -x c -std=c99
compiles -x c -std=c99 -DTAPDISK
echo 'int main() { return 0; }' >"$tmp/empty.cc"
# shellcheck disable=SC2086 # CC may have options
if $CC -fsyntax-only "$tmp/empty.cc" 2>/dev/null; then
    compiles -x c++ -std=c++11
    compiles -x c++ -std=c++11 -DTAPDISK
fi
echo "PASS: disktypes.h is checked"
