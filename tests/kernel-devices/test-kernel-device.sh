#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk as a block device of this host: its data, its end while in use, and after its tapdisk's.
. "${top_srcdir:=.}/tests/functions.sh"

test "$(id -u)" -eq 0 || skip "block devices need root"
tap-ctl check >/dev/null 2>&1 || skip "this kernel has neither ublk nor the NBD client"

truncate -s 8M "$tmp/img"
create() {
    node=$(tap-ctl create -K -a "aio:$tmp/img") || fail "create -K"
    minor=${node##*tapdev}
    pid=$(tap-ctl list -m "$minor" | sed -n 's/^pid=\([0-9]*\) .*/\1/p')
    at_exit tap-ctl destroy -f -p "$pid" -m "$minor"
}

create
test -b "$node" || fail "$node is no block device"
test "$(blockdev --getsize64 "$node")" -eq 8388608 || fail "size"
head -c 2M /dev/urandom >"$tmp/data"
dd if="$tmp/data" of="$node" bs=64k seek=16 conv=fsync 2>"$tmp/dd" || fail "$(cat "$tmp/dd")"
cmp -n 2097152 -i 1048576:0 "$tmp/img" "$tmp/data" || fail "the image lacks what was written"
"$PYTHON" - "$pid" "$minor" <<'EOF'
import struct, sys
with open(f'/dev/shm/td3-{sys.argv[1]}/blktap-{sys.argv[2]}', 'rb') as page:
    fields = struct.unpack('<II11Q', page.read(96))
assert fields[0] == 1 and fields[9] == 4096, fields
EOF
blockdev --flushbufs "$node"
dd if="$node" bs=64k skip=16 count=32 2>/dev/null | cmp - "$tmp/data" || fail "read back"
tap-ctl pause -p "$pid" -m "$minor"
tap-ctl unpause -p "$pid" -m "$minor"
dd if="$node" bs=64k skip=16 count=32 iflag=direct 2>/dev/null | cmp - "$tmp/data" ||
    fail "read back after a pause"

# In use: it stays; by force: it goes.
mkfs.ext4 -q -F "$node"
mkdir "$tmp/mnt"
mount "$node" "$tmp/mnt"
at_exit umount -l "$tmp/mnt"
expect_exit 16 tap-ctl destroy -p "$pid" -m "$minor"
umount "$tmp/mnt"
tap-ctl destroy -p "$pid" -m "$minor" || fail "destroy"
test ! -e "$node" || fail "the name is still there"
wait_gone "$pid"
test ! -e "/dev/shm/td3-$pid" || fail "statistics are left"

# Its tapdisk dies: reads fail, and all of it can be removed.
create
kill -KILL "$pid"
wait_gone "$pid"
! timeout 30 dd if="$node" of="$tmp/read" bs=64k count=1 iflag=direct 2>/dev/null ||
    fail "read from a dead disk"
tap-ctl destroy -p "$pid" -m "$minor" || fail "destroy of a dead one"
test ! -L "$node" || fail "the name of a dead device is still there"

# By tapdisk2 alone, until it is told to end.
node=$(tapdisk2 -K -n "aio:$tmp/img") || fail "tapdisk2 -K -n"
test -b "$node" || fail "tapdisk2: $node is no block device"
pid=$(tap-ctl list | sed -n 's/^pid=\([0-9]*\) .*/\1/p')
kill -TERM "$pid"
wait_gone "$pid"
test ! -L "$node" || fail "SIGTERM leaves the name"
nothing_left
