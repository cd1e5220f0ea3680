#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An image with more blocks than there is room for bitmaps: what is read now and then keeps its bitmap,
# and what has to be read again is right.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

image=$tmp/a.vhd
blocks=4400 # there is room for the bitmaps of some 4096
often=100
truncate -s 10G "$tmp/probe" 2>/dev/null || skip "no file can be so large here"
vhd-util create -n "$image" -s $((blocks * 2))

# page OPERATION BLOCK: one of its pages, which is not the same in its neighbours.
page() {
    echo "aio_$1 -q -P $((1 + $2 % 255)) $(($2 * 2048 + $2 % 500 * 4))k 4k"
}

write_all() {
    i=0
    while [ "$i" -lt "$blocks" ]; do
        page 'write' "$i"
        i=$((i + 1))
    done
    echo aio_flush
}

read_all() {
    i=0
    while [ "$i" -lt "$blocks" ]; do
        page 'read' "$i"
        test "$i" -lt 200 || test $((i % 10)) -ne 0 || page 'read' "$often"
        i=$((i + 1))
    done
    echo aio_flush
}

# io COMMANDS: a function that prints them.
io() {
    "$1" | qemu-io -f raw "$uri" >"$tmp/out" 2>&1 || fail "$(tail -5 "$tmp/out")"
    ! grep -q failed "$tmp/out" || fail "$(grep failed "$tmp/out" | head -5)"
}

misses() {
    tap-ctl stats -p "$pid" -m "$minor" | sed -n 's/.*"misses": \([0-9]*\).*/\1/p'
}

start_disk "vhd:$image"
io write_all
stop_disk

start_disk "vhd:$image"
io read_all
test "$(misses)" -eq "$blocks" || fail "$(misses) bitmaps were read, for $blocks blocks"
io read_all
test "$(misses)" -gt "$blocks" || fail "no bitmap was read a second time"
stop_disk
