#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Images that cannot be served are refused with the reason, and parents are what the child meant, or nothing.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

pid=$(tap-ctl spawn)
at_exit kill "$pid"
tap-ctl allocate >/dev/null
tap-ctl attach -p "$pid" -m 0

# refused WORDS IMAGE [OPTION...]: with these words.
refused() {
    words=$1
    image=$2
    shift 2
    if tap-ctl open -p "$pid" -m 0 -a "vhd:$image" "$@" 2>"$tmp/err"; then
        fail "$image is served; it should be refused: $words"
    fi
    grep -q "$words" "$tmp/err" || fail "$image: no \"$words\" in: $(cat "$tmp/err")"
}
served() {
    tap-ctl open -p "$pid" -m 0 -a "vhd:$1" || fail "$1 is refused"
    tap-ctl close -p "$pid" -m 0
}

# ---- parents ----
mkdir "$tmp/a" "$tmp/b"
vhd-make dynamic "$tmp/a/base.vhd" 20480
vhd-make child "$tmp/a/child.vhd" ./base.vhd
served "$tmp/a/child.vhd"

mv "$tmp/a/base.vhd" "$tmp/b/"
refused 'not to be found' "$tmp/a/child.vhd"

# Moved together they stay together.
mv "$tmp/a/child.vhd" "$tmp/b/"
served "$tmp/b/child.vhd"

# Newer: time says nothing, the unique id does.
touch -d '2037-01-01' "$tmp/b/base.vhd"
served "$tmp/b/child.vhd"
cp "$tmp/b/base.vhd" "$tmp/kept"
vhd-make dynamic "$tmp/b/base.vhd" 20480
refused 'unique id' "$tmp/b/child.vhd"
cp "$tmp/kept" "$tmp/b/base.vhd"

# Of another size: what the parent does not have is zero, what it has too much is not seen.
truncate -s 5M "$tmp/b/short.img"
vhd-make over-raw "$tmp/b/longer.vhd" ./short.img 20480
tap-ctl open -p "$pid" -m 0 -a "vhd:$tmp/b/longer.vhd"
qemu-io -f raw "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$pid.0" -c 'read -P 0 4M 6M' >"$tmp/io" || fail "shorter parent"
grep -q 'verification failed' "$tmp/io" && fail "a shorter parent does not read as zero"
tap-ctl close -p "$pid" -m 0
vhd-make over-raw "$tmp/b/shorter.vhd" ./short.img 1024
served "$tmp/b/shorter.vhd"

# Its own ancestor.
vhd-make over-raw "$tmp/b/self.vhd" ./self.vhd 1024
refused 'ancestor\|another disk' "$tmp/b/self.vhd"
vhd-make dynamic "$tmp/b/x.vhd" 20480
vhd-make child "$tmp/b/y.vhd" ./x.vhd
vhd-make child "$tmp/b/z.vhd" ./y.vhd
vhd-make child "$tmp/b/w.vhd" ./z.vhd
# y becomes a child of w, keeping its own id: y - w - z - y.
vhd-make child "$tmp/b/y2.vhd" ./w.vhd
dd if="$tmp/b/y2.vhd" of="$tmp/b/y.vhd" bs=512 skip=1 seek=1 count=6 conv=notrunc status=none
refused 'ancestor\|another disk' "$tmp/b/z.vhd"

# Neither a file nor a disk is a parent.
mkfifo "$tmp/b/fifo"
vhd-make over-raw "$tmp/b/pipe.vhd" ./fifo 1024
refused 'neither a regular file nor a block device' "$tmp/b/pipe.vhd"

# Too deep: 64 images are the most.
vhd-make dynamic "$tmp/b/0.vhd" 2048
n=1
while test $n -le 64; do
    vhd-make child "$tmp/b/$n.vhd" "./$((n - 1)).vhd"
    n=$((n + 1))
done
served "$tmp/b/30.vhd"
served "$tmp/b/63.vhd"
refused 'more than 64 images' "$tmp/b/64.vhd"

# ---- tables ----
blocks() {
    vhd-make dynamic "$1" 20480
    tap-ctl open -p "$pid" -m 0 -a "vhd:$1"
    qemu-io -f raw "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$pid.0" -c 'write -P 9 0 10M' >"$tmp/io" || fail "$(cat "$tmp/io")"
    tap-ctl close -p "$pid" -m 0
}
blocks "$tmp/c.vhd"
cp "$tmp/c.vhd" "$tmp/d.vhd"
first=$(od -A n -t u1 -j 1536 -N 4 "$tmp/d.vhd" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')
vhd-make bat "$tmp/d.vhd" 1 $((first + 8))
refused 'overlap\|share' "$tmp/d.vhd"
cp "$tmp/c.vhd" "$tmp/d.vhd"
vhd-make bat "$tmp/d.vhd" 2 4000000000
refused 'block 2: ' "$tmp/d.vhd"
vhd-make bat "$tmp/d.vhd" 2 1
refused 'block 2: ' "$tmp/d.vhd"

# Cut in a block, the last one aside; or down to nothing.
cp "$tmp/c.vhd" "$tmp/d.vhd"
truncate -s 3M "$tmp/d.vhd"
refused 'block [0-9]*: ' "$tmp/d.vhd"
truncate -s 1000 "$tmp/d.vhd"
refused 'file\|header' "$tmp/d.vhd"
truncate -s 100 "$tmp/d.vhd"
refused 'too small' "$tmp/d.vhd"

# ---- footers ----
cp "$tmp/c.vhd" "$tmp/d.vhd"
vhd-make foot "$tmp/d.vhd" 60 9
refused 'footer' "$tmp/d.vhd"
cp "$tmp/c.vhd" "$tmp/d.vhd"
for at in 0 $(($(stat -c %s "$tmp/d.vhd") - 512)); do
    printf 'v_poison' | dd of="$tmp/d.vhd" bs=1 seek="$at" conv=notrunc status=none
done
refused 'footer' "$tmp/d.vhd"

# More than 2040 GiB.
cp "$tmp/c.vhd" "$tmp/d.vhd"
vhd-make foot "$tmp/d.vhd" 50 2
refused 'footer: .*size\|footer: .*2040\|footer: .*large' "$tmp/d.vhd"

# A raw image is no VHD.
truncate -s 1M "$tmp/raw"
refused 'footer' "$tmp/raw"
