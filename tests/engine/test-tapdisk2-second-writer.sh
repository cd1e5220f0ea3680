#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An image has one writer or many readers, over all processes; the first is not disturbed.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

truncate -s 1M "$tmp/img"
ln "$tmp/img" "$tmp/same"
start_disk "aio:$tmp/img"
first=$pid

for type in aio sync; do
    for name in img same; do
        expect_exit 16 tapdisk2 -n "$type:$tmp/$name"
        grep -qF "$tmp/$name" "$tmp/err" || fail "the path is missing: $(cat "$tmp/err")"
        expect_exit 16 tap-ctl create -a "$type:$tmp/$name"
        expect_exit 16 tap-ctl create -R -a "$type:$tmp/$name"
    done
done
test "$(tap-ctl list | grep -c .)" -eq 1 || fail "others are left: $(tap-ctl list)"
qemu-io -f raw -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' "$uri" >/dev/null
stop_disk
gone "$first" || fail "the first disk lives on"

start_disk "aio:$tmp/img" -R
start_disk "aio:$tmp/same" -R
expect_exit 16 tap-ctl create -a "aio:$tmp/img"
