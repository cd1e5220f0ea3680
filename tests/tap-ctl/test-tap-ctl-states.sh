#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The life of a disk, step by step: states as others parse them, and an exit status for each mistake.
. "${top_srcdir:=.}/tests/functions.sh"

image=$tmp/disk.img
truncate -s 4M "$image"
truncate -s 4M "$tmp/same.img"
truncate -s 2M "$tmp/smaller.img"
truncate -s 8M "$tmp/larger.img"
tap-ctl allocate >/dev/null
pid=$(tap-ctl spawn)
at_exit kill "$pid"
disk="-p $pid -m 0"
is() {
    test "$(tap-ctl list -m 0)" = "pid=$pid minor=0 state=$1" || fail "$(tap-ctl list) is not $1"
}

# shellcheck disable=SC2086
{
    expect_exit 19 tap-ctl close $disk
    expect_exit 22 tap-ctl open $disk -a "aio:$image"
    tap-ctl attach $disk
    is 0
    expect_exit 17 tap-ctl attach $disk
    expect_exit 22 tap-ctl pause $disk
    expect_exit 22 tap-ctl unpause $disk
    expect_exit 0 tap-ctl close $disk
    tap-ctl open $disk -a "aio:$image"
    is "0 args=aio:$image"
    expect_exit 114 tap-ctl open $disk -a "aio:$image"
    expect_exit 16 tap-ctl detach $disk
    expect_exit 22 tap-ctl unpause $disk

    tap-ctl pause $disk
    is "0x2a args=aio:$image"
    tap-ctl pause $disk
    for other in smaller larger; do
        expect_exit 124 tap-ctl unpause $disk -a "aio:$tmp/$other.img"
        is "0x22a args=aio:$image"
    done
    expect_exit 2 tap-ctl unpause $disk -a aio:/nowhere
    is "0x22a args=aio:$image"
    tap-ctl unpause $disk -a "aio:$tmp/same.img"
    is "0 args=aio:$tmp/same.img"

    tap-ctl close $disk
    is 0x2
    expect_exit 0 tap-ctl close $disk
    tap-ctl open $disk -a "aio:$image" -R -D
    is "0 args=aio:$image"
    tap-ctl info $disk --json | grep -q '"read_only": true' || fail "not read-only"
    tap-ctl stats $disk | grep -q '"read_caching": "true"' || fail "not cached"
    tap-ctl close $disk -t 120
    tap-ctl detach $disk
    wait_gone "$pid"
    expect_exit 2 tap-ctl detach $disk
}
tap-ctl free -m 0
nothing_left
