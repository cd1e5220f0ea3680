#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Keys: their hashes, which images take them, who has the wrong one; and copies that are encrypted,
# as they are served.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-img --version

cd "$tmp"
head -c 64 /dev/zero | tr '\0' A >half
{
    head -c 32 half
    head -c 32 /dev/zero | tr '\0' B
} >key
printf 'no key' >short
nonce=$(printf '%064d' 7)
status=0
vhd-util key -C -k key >out 2>err || status=$?
! grep -q 'Function not implemented' err || skip "built without libcrypto"
test $status -eq 0 || fail "key -C: $(cat err)"
{
    head -c 32 /dev/zero
    cat key
} | sha256sum | cut -d ' ' -f 1 | cmp - out || fail "hash without a nonce"
expect_exit 0 vhd-util key -C -k key -N "$nonce"
hash=$(cat out)
expect_exit 22 vhd-util key -C -k short
expect_exit 22 vhd-util key -C -k key -N 12
expect_exit 2 vhd-util key -C -k absent
test ! -s out || fail "a failure on stdout"

vhd-util create -n image.vhd -s 8
expect_exit 0 vhd-util key -p -n image.vhd
test "$(cat out)" = none || fail "a new image has a key"
expect_exit 0 vhd-util key -s -n image.vhd -H "$hash" -N "$nonce"
expect_exit 0 vhd-util key -p -n image.vhd
test "$(cat out)" = "$nonce $hash" || fail "another key: $(cat out)"
expect_exit 0 vhd-util key -c -n image.vhd -k key
head -c 32 key >other
expect_exit 129 vhd-util key -c -n image.vhd -k other
vhd-util check -n image.vhd >out || fail "$(head -n 1 out)"
vhd-util snapshot -n child.vhd -p image.vhd -e
expect_exit 0 vhd-util key -p -n child.vhd
test "$(cat out)" = "$nonce $hash" || fail "the snapshot has not inherited it"
vhd-util scan -M child.vhd | grep -q " keyhash=$hash " || fail "not in the scan"

# Only what holds nothing yet.
vhd-util create -n full.vhd -s 4
vhd-util fill -n full.vhd -b
! vhd-util key -s -n full.vhd -k key 2>err || fail "a key for an image with blocks"

# Copies: the data are not there in clear, and a wrong key does not read them.
qemu-img create -q -f vpc -o force_size=on plain.vhd 8M
qemu-io -f vpc -c 'write -P 0x5a 1M 3M' plain.vhd >/dev/null
expect_exit 0 vhd-util copy -n plain.vhd -N secret.vhd -k key
! LC_ALL=C grep -q ZZZZZZZZZZZZZZZZ secret.vhd || fail "the copy is in clear"
expect_exit 17 vhd-util copy -n plain.vhd -N secret.vhd -k key
expect_exit 129 vhd-util copy -n secret.vhd -N again.vhd -k other
test ! -e again.vhd || fail "a failed copy was left"
expect_exit 129 vhd-util copy -n secret.vhd -N again.vhd
expect_exit 0 sh -c 'vhd-util copy -n secret.vhd -N again.vhd -E <key'
expect_exit 0 vhd-util key -c -n again.vhd -k key
expect_exit 0 vhd-util copy -n plain.vhd -N clear.vhd
qemu-img compare -q -f vpc -F vpc plain.vhd clear.vhd || fail "the copy differs"
for image in secret.vhd again.vhd clear.vhd; do
    vhd-util check -n "$image" >out || fail "$(head -n 1 out)"
done

# The disk that a guest would see of such a copy; who has no key, or another one, sees none.
start_disk "vhd:$tmp/secret.vhd" -E <key
qemu-img compare -q -f raw -F vpc "$uri" plain.vhd || fail "another disk is served"
stop_disk
for wrong in other /dev/null; do
    ! tap-ctl create -a "vhd:$tmp/secret.vhd" -E <$wrong >out 2>err || fail "served with $wrong"
done
! tap-ctl create -a "vhd:$tmp/secret.vhd" >out 2>err || fail "served without a key"
expect_exit 129 tapdisk-stream -n "vhd:$tmp/secret.vhd"
test ! -s out || fail "tapdisk-stream wrote what it cannot read"
expect_exit 0 tapdisk-stream -n "vhd:$tmp/clear.vhd"
qemu-img compare -q -f raw -F vpc out plain.vhd || fail "the stream of a copy differs"
nothing_left
