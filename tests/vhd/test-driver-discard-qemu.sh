#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# After discards qemu-img reads the same as we do, though it looks at no bitmap; what it writes then
# we read; vhd-util finds the image sound, and the room gone.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-img --version
requires qemu-io --version

size=$((37 * 1024 * 1024))

# Random requests; half of the discards are of whole blocks of 2 MiB.
requests() {
    awk -v seed="$1" -v size=$size 'BEGIN {
        srand(seed)
        for (i = 0; i < 120; i++) {
            secs = 1 + int(rand() * 6000)
            at = int(rand() * (size / 512 - secs))
            if (i % 3) {
                printf "write -P %d %d %d\n", 1 + int(rand() * 255), at * 512, secs * 512
            } else {
                if (rand() < 0.5) { at -= at % 4096; secs = 4096 }
                if (at + secs > size / 512) secs = size / 512 - at
                printf "%s %d %d\n", i % 2 ? "discard" : "write -zu", at * 512, secs * 512
            }
            if (i % 11 == 0) print "flush"
        }
        print "flush"
    }'
}

seed=${VHD_DISCARD_SEED:-$$}
echo "VHD_DISCARD_SEED=$seed"
for owner in ours qemu; do
    image=$tmp/$owner.vhd
    if test $owner = qemu; then
        qemu-img create -q -f vpc -o subformat=dynamic,force_size=on "$image" $size
    else
        vhd-make dynamic "$image" $((size / 512))
    fi
    for round in 1 2; do
        start_disk "vhd:$image"
        requests $((seed + round)) >"$tmp/commands"
        qemu-io -d unmap -f raw "$uri" <"$tmp/commands" >"$tmp/io" || fail "$owner, $round: $(cat "$tmp/io")"
        grep -q 'failed' "$tmp/io" && fail "$owner, $round: $(cat "$tmp/io")"
        qemu-img convert -f raw -O raw "$uri" "$tmp/model"
        stop_disk
        vhd-util check -n "$image" >"$tmp/check" || fail "$owner, $round: $(cat "$tmp/check")"
        qemu-img compare -q -f raw -F vpc "$tmp/model" "$image" || fail "$owner, $round: read by qemu-img"
        qemu-io -f vpc "$image" -c "write -P 99 $((round * 5000000 / 512 * 512)) 300k" >"$tmp/io" ||
            fail "$owner, $round: $(cat "$tmp/io")"
        qemu-img convert -f vpc -O raw "$image" "$tmp/model"
        start_disk "vhd:$image"
        qemu-img compare -q -f raw -F raw "$tmp/model" "$uri" || fail "$owner, $round: written by qemu"
        stop_disk
    done

    # Everything goes: the file, too.
    start_disk "vhd:$image"
    qemu-io -d unmap -f raw "$uri" -c "discard 0 $size" -c "read -P 0 0 $size" >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "$owner: discarded, and not zero"
    stop_disk
    test "$(stat -c %s "$image")" -lt 1000000 || fail "$owner: $(stat -c %s "$image") bytes of nothing"
    qemu-img map -f vpc --output=json "$image" | grep -q '"data": true' && fail "$owner: qemu-img finds data"
done
exit 0
