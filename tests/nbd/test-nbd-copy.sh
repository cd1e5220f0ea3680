#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nbdcopy and qemu-img read and write the same bytes, over one connection and over eight.
. "${top_srcdir:=.}/tests/functions.sh"
requires nbdcopy --version
requires qemu-img --version

size=67108864
truncate -s $size "$tmp/source"
dd if=/dev/urandom of="$tmp/source" bs=1M seek=3 count=20 conv=notrunc 2>/dev/null
dd if=/dev/urandom of="$tmp/source" bs=511 seek=100001 count=1000 conv=notrunc 2>/dev/null
truncate -s $size "$tmp/img"
start_disk "aio:$tmp/img"

for connections in 1 8; do
    nbdcopy --connections=$connections "$tmp/source" "$uri"
    nbdcopy --connections=$connections --synchronous "$uri" "$tmp/copy"
    cmp "$tmp/source" "$tmp/copy" || fail "nbdcopy, $connections connections"
    nbdcopy --connections=$connections --allocated "$uri" "$tmp/copy"
    cmp "$tmp/source" "$tmp/copy" || fail "nbdcopy, $connections connections, allocated"
done

qemu-img convert -n -W -m 16 -f raw -O raw "$tmp/source" "$uri"
qemu-img compare -f raw -F raw "$tmp/source" "$uri" > "$tmp/out" || fail "$(cat "$tmp/out")"
qemu-img convert -f raw -O raw "$uri" "$tmp/copy"
cmp "$tmp/source" "$tmp/copy" || fail "qemu-img convert"
stop_disk "$pid" "$minor"
cmp "$tmp/source" "$tmp/img" || fail "the image itself"
nothing_left
