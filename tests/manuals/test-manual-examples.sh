#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the manual pages and README.md show in their examples works: the commands are run as they stand,
# with the programs as they are installed.
. "${top_srcdir:=.}/tests/functions.sh"

requires sh "$top_srcdir/tests/manuals/sandbox.sh" "$tmp/try" true
requires nbdinfo --version
requires qemu-io --version
MAKEFLAGS='' "${MAKE:-make}" -s -C "$top_builddir" install DESTDIR="$tmp/root" >"$tmp/log" 2>&1 || {
    cat "$tmp/log"
    fail "make install"
}
bins=$(find "$tmp/root" -type d \( -name bin -o -name sbin \) | tr '\n' ':')
libs=$(find "$tmp/root" -name 'lib*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
modules=$(find "$tmp/root" -path '*/xen/xend/server' | head -n 1)
PATH=$bins$top_srcdir/tests/manuals/host:$PATH
TAPDISK=$(command -v tapdisk2)
PYTHONPATH=${modules%/xen/xend/server}
LVM_SYSTEM_DIR=/srv/lvm
export PATH TAPDISK PYTHONPATH LVM_SYSTEM_DIR

missing=
for page in $(find "$tmp/root" -path '*/man/man*' -type f | sort) "$top_srcdir/README.md"; do
    status=0
    env -u BLKTAP_CONTROL_DIR LD_LIBRARY_PATH="$libs" sh "$top_srcdir/tests/manuals/sandbox.sh" "$tmp/${page##*/}" \
        "${PYTHON:-python3}" -B "$top_srcdir/tests/manuals/examples.py" "$page" >"$tmp/said" 2>&1 ||
        status=$?
    case $status in
    0) echo "${page##*/}: $(tail -n 1 "$tmp/said")" ;;
    77) missing="$missing ${page##*/}: $(cat "$tmp/said");" ;;
    *) fail "${page##*/}: $(cat "$tmp/said")" ;;
    esac
done
test -z "$missing" || skip "the examples of some pages:$missing"
