#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Resizing: as far as an image was prepared for, and with a journal that undoes what a crash left
# half done, at each step and wherever kill -9 hits.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-img --version

: "${STEPS:=8}"
cd "$tmp"

size_is() {
    test "$(vhd-util query -n "$1" -v)" = "$2" || fail "$1 has not $2 MB"
    vhd-util check -n "$1" >out || fail "$1: $(head -n 1 out)"
}

# Prepared.
vhd-util create -n fast.vhd -s 10 -S 200
expect_exit 0 vhd-util resize -n fast.vhd -s 99 -f
size_is fast.vhd 100
expect_exit 0 vhd-util resize -n fast.vhd -s 100 -f
expect_exit 22 vhd-util resize -n fast.vhd -s 50 -f
expect_exit 22 vhd-util resize -n fast.vhd -s 202 -f
size_is fast.vhd 100
test "$(vhd-util query -n fast.vhd -S)" = 200 || fail "prepared for another size"

# By others: not ours to move.
qemu-img create -q -f vpc -o force_size=on qemu.vhd 8M
expect_exit 22 vhd-util resize -n qemu.vhd -s 20 -f
expect_exit 22 vhd-util resize -n qemu.vhd -s 20 -j journal

# Each step.  The first block lies where the longer BAT has to go.
vhd-util create -n image.vhd -s 8
qemu-img create -q -f raw raw 8M
vhd-util copy -n image.vhd -N full.vhd
vhd-util fill -n full.vhd
cp full.vhd image.vhd
cksum <image.vhd >before
for point in BEGIN DATA_MOVED METADATA_MOVED END; do
    expect_exit 22 env "VHD_UTIL_TEST_FAIL_RESIZE_$point=1" \
        vhd-util resize -n image.vhd -s 8192 -j journal
    test "$(cat out)" = "Failing at VHD_UTIL_TEST_FAIL_RESIZE_$point" || fail "$(cat out)"
    test -s journal || fail "no journal after $point"
    expect_exit 22 vhd-util check -n image.vhd
    ! vhd-util set -n image.vhd -f hidden -v 1 >out || fail "changed while a resize is under way"
    expect_exit 0 vhd-util revert -n image.vhd -j journal
    test ! -e journal || fail "the journal is still there"
    size_is image.vhd 8
    qemu-img compare -q -f vpc -F raw image.vhd raw || fail "other data after $point"
done
expect_exit 0 vhd-util resize -n image.vhd -s 8192 -j journal
test ! -e journal || fail "the journal was left"
size_is image.vhd 8192
expect_exit 38 vhd-util resize -n image.vhd -s 4 -j journal
size_is image.vhd 8192

# Without room for the journal nothing is begun.
cp full.vhd image.vhd
expect_exit 27 sh -c 'ulimit -f 1; vhd-util resize -n image.vhd -s 8192 -j journal'
test ! -e journal || fail "a journal that is of no use"
cmp image.vhd full.vhd || fail "the image was changed"

# Wherever it is killed.
kill_after() { # milliseconds
    cp full.vhd image.vhd
    rm -f journal
    # In the foreground it also waits for the end of what it has killed.
    timeout --foreground -s KILL "$(printf '0.%03d' "$1")" \
        vhd-util resize -n image.vhd -s 8192 -j journal >/dev/null 2>&1 || :
    if test -e journal; then
        # One that was not complete yet: nothing was changed before it was.
        vhd-util revert -n image.vhd -j journal >out || rm journal
    fi
    vhd-util repair -n image.vhd >/dev/null || fail "after $1 ms: not to be repaired"
    vhd-util check -n image.vhd >out || fail "after $1 ms: $(head -n 1 out)"
    case $(vhd-util query -n image.vhd -v) in
    8 | 8192) ;;
    *) fail "after $1 ms: neither the old nor the new size" ;;
    esac
    qemu-img compare -q -f vpc -F raw image.vhd raw >out || grep -q 'different size' out ||
        test "$(vhd-util query -n image.vhd -v)" = 8192 || fail "after $1 ms: other data"
}
step=0
while test $step -lt "$STEPS"; do
    step=$((step + 1))
    kill_after $step
done

# Fixed images, both ways.
vhd-util create -n fixed.vhd -r -s 4
expect_exit 0 vhd-util resize -n fixed.vhd -s 6 -j journal
size_is fixed.vhd 6
expect_exit 0 vhd-util resize -n fixed.vhd -s 2 -j journal
size_is fixed.vhd 2
