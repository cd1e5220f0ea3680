#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An image on a block device: with sectors of 512 and of 4096 bytes, over old bytes, up to its end.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
requires losetup --version
test "$(id -u)" -eq 0 || skip "loop devices need root"

for size in 512 4096; do
    # Old bytes everywhere.
    head -c 32M /dev/zero | tr '\000' '\125' >"$tmp/disk.$size"
    vhd-make dynamic "$tmp/disk.$size" 65536
    head -c 512 "$tmp/disk.$size" >"$tmp/footer"
    truncate -s 32M "$tmp/disk.$size"
    dd if=/dev/zero bs=1M count=31 status=none | tr '\000' '\125' |
        dd of="$tmp/disk.$size" bs=4k seek=16 conv=notrunc status=none
    dd if="$tmp/footer" of="$tmp/disk.$size" bs=512 seek=$((32 * 2048 - 1)) conv=notrunc status=none
    device=$(losetup --find --show --sector-size "$size" "$tmp/disk.$size") ||
        skip "no loop device can be had"
    at_exit losetup -d "$device"
    blockdev --setrw "$device"
    start_disk "vhd:$device"
    qemu-io -f raw "$uri" -c 'write -P 1 0 512' -c 'write -P 2 3M 1M' -c 'write -P 3 5000 7' -c flush \
        -c 'read -P 1 0 512' -c 'read -P 0 8192 1M' -c 'read -P 2 3M 1M' -c 'write -z 3500k 64k' \
        -c 'read -P 0 3500k 64k' >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "sectors of $size: $(cat "$tmp/io")"
    # A disk of 32 MiB has no room for all of its blocks on a device of 32 MiB.
    qemu-io -f raw "$uri" -c 'write -P 4 4M 28M' >"$tmp/io" 2>&1 || :
    grep -q 'No space left' "$tmp/io" || fail "the device never ends: $(cat "$tmp/io")"
    qemu-io -f raw "$uri" -c 'read -P 2 3M 200k' -c 'write -P 5 3M 1M' -c flush -c 'read -P 5 3M 1M' >"$tmp/io" ||
        fail "after the end: $(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "after the end: $(cat "$tmp/io")"

    # Discarded blocks make room: in the same run,
    qemu-io -d unmap -f raw "$uri" -c 'discard 4M 24M' -c 'write -P 6 4M 24M' -c flush -c 'read -P 6 4M 24M' \
        >"$tmp/io" 2>&1 || fail "$(cat "$tmp/io")"
    grep -q 'failed' "$tmp/io" && fail "sectors of $size: no room after a discard: $(cat "$tmp/io")"
    qemu-io -d unmap -f raw "$uri" -c 'discard 4M 8M' >"$tmp/io" || fail "$(cat "$tmp/io")"
    stop_disk
    # and in the next one.
    start_disk "vhd:$device"
    qemu-io -f raw "$uri" -c 'read -P 0 4M 8M' -c 'write -P 7 28M 4M' -c flush -c 'read -P 7 28M 4M' \
        -c 'read -P 0 4M 8M' -c 'read -P 6 12M 16M' >"$tmp/io" 2>&1 || fail "$(cat "$tmp/io")"
    grep -q 'failed' "$tmp/io" && fail "sectors of $size: no room in the next run: $(cat "$tmp/io")"
    stop_disk
    blockdev --flushbufs "$device"
    dd if="$device" bs=512 skip=$((32 * 2048 - 1)) count=1 status=none | cmp - "$tmp/footer" ||
        fail "sectors of $size: the footer at the end is gone"
    qemu-io -r -f vpc "$device" -c 'read -P 1 0 512' -c 'read -P 0 8192 1M' -c 'read -P 5 3M 1M' \
        -c 'read -P 0 4M 8M' -c 'read -P 6 12M 16M' -c 'read -P 7 28M 4M' >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "sectors of $size, read by qemu: $(cat "$tmp/io")"
done
exit 0
