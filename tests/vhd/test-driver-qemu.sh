#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What tapdisk2 writes into a VHD qemu-img reads, and the other way round, byte for byte.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-img --version
requires qemu-io --version

size=$((37 * 1024 * 1024))

# Random writes to the disk and to a raw image beside it.
write_both() {
    seed=$1
    awk -v seed="$seed" -v size=$size 'BEGIN {
        srand(seed)
        for (i = 0; i < 60; i++) {
            secs = 1 + int(rand() * 700)
            at = int(rand() * (size / 512 - secs))
            printf "write -P %d %d %d\n", 1 + int(rand() * 255), at * 512, secs * 512
            if (i % 9 == 0) printf "write -z %d %d\n", at * 512, secs * 512
            if (i % 13 == 0) print "flush"
        }
        print "flush"
    }' >"$tmp/commands"
    qemu-io -f raw "$uri" <"$tmp/commands" >"$tmp/io" || fail "qemu-io: $(cat "$tmp/io")"
    qemu-io -f raw "$tmp/model" <"$tmp/commands" >"$tmp/io"
}

for subformat in dynamic fixed; do
    for owner in qemu ours; do
        image=$tmp/$subformat-$owner.vhd
        if test $owner = qemu; then
            qemu-img create -q -f vpc -o subformat=$subformat,force_size=on "$image" $size
        else
            vhd-make $subformat "$image" $((size / 512))
        fi
        rm -f "$tmp/model"
        truncate -s $size "$tmp/model"

        # Ours, read by qemu-img.
        start_disk "vhd:$image"
        write_both 1
        qemu-img compare -q -f raw -F raw "$tmp/model" "$uri" || fail "$subformat by $owner: read by us"
        stop_disk
        cp "$image" "$tmp/copy"
        start_disk "vhd:$image" -R
        qemu-img compare -q -f raw -F raw "$tmp/model" "$uri" || fail "$subformat by $owner: read-only"
        stop_disk
        cmp "$image" "$tmp/copy" || fail "$subformat by $owner: reading has changed the file"
        qemu-img compare -q -f raw -F vpc "$tmp/model" "$image" || fail "$subformat by $owner: read by qemu-img"

        # Theirs, read by us.
        qemu-img convert -q -f raw -O vpc -o subformat=$subformat,force_size=on "$tmp/model" "$image"
        start_disk "vhd:$image"
        qemu-img compare -q -f raw -F raw "$tmp/model" "$uri" || fail "$subformat by qemu-img: read by us"
        write_both 2
        stop_disk
        qemu-img compare -q -f raw -F vpc "$tmp/model" "$image" || fail "$subformat by qemu-img: changed by us"
    done
done
