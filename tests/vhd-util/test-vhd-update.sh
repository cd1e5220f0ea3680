#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# vhd-update makes images of version 0.1 readable, and an update that fails can be undone.
. "${top_srcdir:=.}/tests/functions.sh"

tools=$top_builddir/tests/vhd-util
cd "$tmp"

# ---- usage ----
expect_exit 0 vhd-update -h
grep -q '^options: ' out || fail "no options"
cp out options
wrong() {
    expect_exit 22 vhd-update "$@"
    cmp -s options err || fail "no usage for: $*"
    test ! -s out || fail "stdout for: $*"
}
wrong
wrong -n
wrong -n image -x
wrong -n image -r
wrong -n image more
expect_exit 0 vhd-update --version

# ---- images of every type ----
data() {
    vhd-util read -n "$1" -r 0 -c 16384 >data || fail "$1 cannot be read"
    cksum <data
}
is_version() {
    vhd-util read -p -n "$1" | grep -q "^Creator version *: Major: $2, Minor: $3\$" ||
        fail "$1 is not of version $2.$3"
}
make_old() {
    "$tools/vhd-write" "$1" 3 1 7 100 333 8 8191 2 9 16380 4 10
    data "$1" >"$1.data"
    "$tools/vhd-age" "$1"
    expect_exit 22 vhd-util query -n "$1" -v
    vhd-util check -n "$1" >out || :
    grep -q 'unsupported creator version 0x00000001' out || fail "$1: $(head -n 1 out)"
}
vhd-util create -n base.vhd -s 8
"$tools/vhd-write" base.vhd 0 5000 1
vhd-util snapshot -n leaf.vhd -p base.vhd
vhd-util create -n dynamic.vhd -s 8
vhd-util create -n fixed.vhd -s 8 -r
for image in leaf.vhd dynamic.vhd; do
    make_old $image
    expect_exit 0 vhd-update -n $image
    test ! -s out || fail "it speaks: $(cat out)"
    test ! -e $image.journal || fail "the journal is left"
    data $image | cmp - $image.data || fail "$image: other data"
    is_version $image 1 1
    vhd-util check -n $image -b >out || fail "$image: $(head -n 1 out)"
done

# Their tools hid an image in the footer's copy alone.
cp dynamic.vhd hidden.vhd
python3 - hidden.vhd <<'EOT' || fail "the copy cannot be changed"
import struct, sys
with open(sys.argv[1], 'r+b') as image:
    footer = bytearray(image.read(512))
    footer[85] = 1
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack('>I', ~sum(footer) & 0xffffffff)
    image.seek(0)
    image.write(footer)
EOT
test "$(vhd-util query -n hidden.vhd -f)" = 'hidden: 1' || fail "not hidden"
vhd-util check -n hidden.vhd >out || fail "$(head -n 1 out)"

# What is newer stays as it is, and so does what others made.
for image in dynamic.vhd base.vhd fixed.vhd; do
    before=$(cksum <$image)
    expect_exit 0 vhd-update -n $image
    test "$(cksum <$image)" = "$before" || fail "$image was changed"
done
cp base.vhd other.vhd
python3 - other.vhd <<'EOT' || fail "the creator cannot be changed"
import struct, sys
with open(sys.argv[1], 'r+b') as image:
    for whence in ((0, 0), (-512, 2)):
        image.seek(*whence)
        footer = bytearray(image.read(512))
        footer[28:32] = b'vpc '
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack('>I', ~sum(footer) & 0xffffffff)
        image.seek(*whence)
        image.write(footer)
EOT
expect_exit 22 vhd-update -n other.vhd
grep -q '^vhd-update: other.vhd: was made by other tools' err || fail "$(cat err)"

# ---- what goes wrong ----
expect_exit 2 vhd-update -n nothing
expect_exit 22 vhd-update -n leaf.vhd.data
make_old dynamic.vhd
echo something >journal
before=$(cksum <dynamic.vhd)
expect_exit 17 vhd-update -n dynamic.vhd -j journal
test "$(cat journal)" = something || fail "a file was taken for a new journal"
test "$(cksum <dynamic.vhd)" = "$before" || fail "the image was changed"
rm journal

# Without room for the journal nothing is begun.
expect_exit 27 sh -c 'ulimit -f 1; vhd-update -n dynamic.vhd -j journal'
test ! -e journal || fail "a journal that is of no use"
test "$(cksum <dynamic.vhd)" = "$before" || fail "the image was changed"

# The end of the image cannot be written: the journal stays, and makes the image what it was.
expect_exit 27 sh -c 'ulimit -f 128; vhd-update -n dynamic.vhd -j journal'
grep -q '^vhd-update: dynamic.vhd: ' err || fail "$(cat err)"
test -s journal || fail "no journal"
expect_exit 17 vhd-update -n dynamic.vhd -j journal
expect_exit 22 vhd-update -n base.vhd -j journal -r
expect_exit 2 vhd-update -n dynamic.vhd -j nothing -r
expect_exit 0 vhd-update -n dynamic.vhd -j journal -r
test ! -e journal || fail "the journal is left"
test "$(cksum <dynamic.vhd)" = "$before" || fail "not as it was"
expect_exit 0 vhd-update -n dynamic.vhd -j journal
data dynamic.vhd | cmp - dynamic.vhd.data || fail "other data"
