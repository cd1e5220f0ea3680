#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An idle tapdisk2 that serves the largest image there can be, empty or with all of its million blocks,
# is resident with no more than 16 MiB; and its cache is what the host's settings say.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
test -z "${SANITIZERS:-}" || skip "sanitizers take memory of their own"

cd "$tmp"
max_kib=16384
truncate -s 2T probe 2>/dev/null || skip "no file can be so large here"
vhd-util create -n empty.vhd -s $((2040 << 10))

# Entries for all blocks; what they name is a hole.
cp empty.vhd full.vhd
"${PYTHON:-python3}" - full.vhd <<'EOF'
import array
import os
import sys

BLOCKS = 2040 << 9
BLOCK_SECTORS = 4096 + 8  # bitmap, data, and what aligns the next one
path = sys.argv[1]
with open(path, 'r+b') as image:
    footer = image.read(512)
    first = (os.path.getsize(path) // 512 + 8) // 8 * 8 + 7
    entries = array.array('I', (first + BLOCK_SECTORS * i for i in range(BLOCKS)))
    if sys.byteorder == 'little':
        entries.byteswap()
    image.seek(1536)
    image.write(entries.tobytes())
    end = (first + BLOCK_SECTORS * BLOCKS) * 512
    image.truncate(end)
    image.seek(end)
    image.write(footer)
EOF

allocated() {
    tap-ctl stats -p "$pid" -m "$minor" | sed -n 's/.*"allocated": \([0-9]*\).*/\1/p'
}

# modest IMAGE BLOCKS: it has so many.
modest() {
    start_disk "vhd:$tmp/$1"
    kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
    echo "$1: $kib KiB"
    test "$kib" -le "$max_kib" || fail "$1: $kib KiB are resident, more than $max_kib"
    test "$(allocated)" = "$2" || fail "$1: $(allocated) blocks, not $2"
    qemu-io -r -f raw "$uri" -c "read -P 0 $(((2040 << 30) - 4096)) 4k" >out || fail "$1: $(cat out)"
    ! grep -q failed out || fail "$1: $(cat out)"
    stop_disk
}

echo 'vhd-bitmap-cache = 40' >conf
BLKTAP_CONFIG=$tmp/conf
export BLKTAP_CONFIG
start_disk "vhd:$tmp/empty.vhd"
tap-ctl stats -p "$pid" -m "$minor" | grep -q '"room": 40,' || fail "$(tap-ctl stats -p "$pid" -m "$minor")"
stop_disk
unset BLKTAP_CONFIG

modest empty.vhd 0
modest full.vhd $((2040 << 9))
