#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Where the kernel makes no block devices, this is said, and nothing is left behind.
. "${top_srcdir:=.}/tests/functions.sh"

! tap-ctl check >/dev/null 2>&1 || skip "this kernel has a driver"
truncate -s 1M "$tmp/img"

expect_exit 38 tap-ctl check
grep -q 'ublk_drv.*nbd' "$tmp/err" || fail "check does not name the drivers: $(cat "$tmp/err")"
expect_exit 19 tap-ctl create -K -a "aio:$tmp/img"
grep -q 'ublk_drv.*nbd' "$tmp/err" || fail "create does not name the drivers: $(cat "$tmp/err")"
expect_exit 19 env BLKTAP_DEVICE_MODE=kernel tap-ctl create -a "aio:$tmp/img"
# In a hotplug script of the kernel's backend there is no other way; elsewhere there is.
expect_exit 19 env XENBUS_TYPE=vbd tap-ctl allocate
expect_exit 0 env XENBUS_TYPE=vbd BLKTAP_DEVICE_MODE=marker tap-ctl allocate
tap-ctl free -m 0
expect_exit 0 env XENBUS_TYPE=vbd3 tap-ctl allocate
tap-ctl free -m 0

expect_exit 19 tapdisk2 -K -n "aio:$tmp/img"
grep -q 'ublk_drv.*nbd' "$tmp/err" || fail "tapdisk2 does not name the drivers: $(cat "$tmp/err")"
nothing_left

# A minor that was taken for a device by hand: the open fails, and the disk can be opened without.
tap-ctl allocate >/dev/null
echo device >"$BLKTAP_CONTROL_DIR/tapdisk/tapdisk-0"
pid=$(tap-ctl spawn)
tap-ctl attach -p "$pid" -m 0
expect_exit 19 tap-ctl open -p "$pid" -m 0 -a "aio:$tmp/img"
: >"$BLKTAP_CONTROL_DIR/tapdisk/tapdisk-0"
tap-ctl open -p "$pid" -m 0 -a "aio:$tmp/img" || fail "the disk that had no device stays closed"
tap-ctl destroy -p "$pid" -m 0
wait_gone "$pid"
nothing_left

# A number that has found another owner keeps its name when what is left of the last one is removed.
test "$(id -u)" -eq 0 || exit 0
last=$pid
number=$((16384 - 1 - $$ % 4096)) # tests of other folders have the same /dev
tap-ctl allocate -m $number >/dev/null
echo device >"$BLKTAP_CONTROL_DIR/tapdisk/tapdisk-$number"
pid=$(tap-ctl spawn)
tap-ctl attach -p "$pid" -m $number
mkdir -p /dev/xen/blktap-2
at_exit rmdir -p --ignore-fail-on-non-empty /dev/xen/blktap-2
name=/dev/xen/blktap-2/tapdev$number
ln -s /dev/ublkb77777 "$name"
at_exit rm -f "$name"
tap-ctl destroy -p "$last" -m $number 2>"$tmp/err" || fail "destroy of a dead one: $(cat "$tmp/err")"
test -L "$name" || fail "the name of another's device was removed"
kill -KILL "$pid"
wait_gone "$pid"
tap-ctl destroy -p "$pid" -m $number
test ! -L "$name" || fail "the name of a dead device is still there"
nothing_left
