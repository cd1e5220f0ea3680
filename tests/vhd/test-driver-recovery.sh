#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Images whose end is damaged or old-fashioned are served, and mended by the first write.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

image=$tmp/a.vhd
vhd-make dynamic "$image" 20480
start_disk "vhd:$image"
qemu-io -f raw "$uri" -c 'write -P 9 1M 1M' -c 'write -P 8 9M 64k' >"$tmp/io"
stop_disk
cp "$image" "$tmp/good"
size=$(stat -c %s "$image")

# io COMMAND...: on the disk, verified.
io() {
    # shellcheck disable=SC2086 # an option or nothing
    qemu-io $read_only -f raw "$uri" "$@" >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "$(cat "$tmp/io")"
    return 0
}
holds() {
    start_disk "vhd:$image" "$@"
    read_only=${1:+-r}
    io -c 'read -P 9 1M 1M' -c 'read -P 8 9M 64k' -c 'read -P 0 3M 1M'
}
mended() {
    io -c 'write -P 7 5M 64k' -c flush
    stop_disk
    qemu-io -f vpc "$image" -c 'read -P 9 1M 1M' -c 'read -P 7 5M 64k' >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "$1: $(cat "$tmp/io")"
    test $(($(stat -c %s "$image") % 512)) -eq 0 || fail "$1: the size is odd"
    tail -c 512 "$image" | cmp -n 512 - "$image" || fail "$1: the footers differ"
}

# No footer at the end, as after a power cut; read-only nothing is mended.
truncate -s $((size - 512)) "$image"
cp "$image" "$tmp/before"
holds -R
stop_disk
cmp "$image" "$tmp/before" || fail "reading has mended the file"
holds
mended "no footer"

# A footer of 511 bytes.
cp "$tmp/good" "$image"
truncate -s $((size - 1)) "$image"
holds
mended "a footer of 511 bytes"

# Rubbish behind the last block, where the file was extended before a cut.
cp "$tmp/good" "$image"
truncate -s $((size - 512)) "$image"
head -c 3000000 /dev/urandom | tr '\000' '\001' >>"$image"
truncate -s %512 "$image"
holds
io -c 'write -P 7 5M 512'
stop_disk
# Sectors of a block that were never written are zeroes in the file, too: others do not read bitmaps.
qemu-io -f vpc "$image" -c 'read -P 0 4M 1M' -c 'read -P 7 5M 512' -c 'read -P 0 5243392 523776' >"$tmp/io"
grep -q 'verification failed' "$tmp/io" && fail "rubbish shows: $(cat "$tmp/io")"

# No copy at the start: the footer at the end counts, and the copy comes back before it is needed.
cp "$tmp/good" "$image"
dd if=/dev/zero of="$image" bs=512 count=1 conv=notrunc status=none
holds
mended "no copy"
