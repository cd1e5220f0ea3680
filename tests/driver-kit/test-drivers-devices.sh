#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Block devices are served with their own logical sector size, 512 or 4096 bytes.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
requires losetup --version
test "$(id -u)" -eq 0 || skip "loop devices need root"

for size in 512 4096; do
    truncate -s 64M "$tmp/disk.$size"
    device=$(losetup --find --show --sector-size "$size" "$tmp/disk.$size") ||
        skip "no loop device can be had"
    at_exit losetup -d "$device"
    # Whoever had the device before may have left it read-only, and so may this test.
    at_exit blockdev --setrw "$device"
    blockdev --setrw "$device"
    for type in aio sync; do
        start_disk "$type:$device"
        tap-ctl info -p "$pid" -m "$minor" | grep -q "^sector size  *$size\$" || fail "$type: sector size"
        # Requests that are no whole sectors of the device are the server's trouble, not the client's.
        qemu-io -f raw "$uri" -c 'write -P 1 0 1M' -c 'write -P 2 512 512' -c 'write -P 3 5000 7' \
            -c 'read -P 1 0 512' -c 'read -P 2 512 512' -c 'read -P 1 1024 3976' -c 'read -P 3 5000 7' \
            -c 'discard 512k 64k' -c 'write -z 256k 64k' -c 'read -P 0 256k 64k' -c flush >"$tmp/io" ||
            fail "$type on sectors of $size: $(cat "$tmp/io")"
        grep -q 'verification failed' "$tmp/io" && fail "$type on sectors of $size: $(cat "$tmp/io")"
        stop_disk
    done
    expect_exit 22 tap-ctl create -a "ram:$tmp"
done

# A device that is read-only is served so, and says so.
blockdev --setro "$device"
start_disk "aio:$device"
tap-ctl info -p "$pid" -m "$minor" --json | grep -q '"read_only": true' || fail "not read-only"
