#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# While its guest writes, a disk goes on on new leaves, and images below it are merged; no request
# fails, and no byte of the disk changes by it.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

cd "$tmp"
sectors=32768
vhd-util create -n 0.vhd -s 16
start_disk "vhd:$tmp/0.vhd"

# Until told to stop, or a request fails.
load() {
    while test ! -e enough; do
        nbd-load --op write --depth 16 --requests 1000 --flush-every 100 "$(socket_of "$uri")" || touch failed
        test ! -e failed || break
    done
}
load >log 2>&1 &
load=$!
at_exit touch "$tmp/enough"

pause() {
    tap-ctl pause -p "$pid" -m "$minor"
}

unpause() {
    tap-ctl unpause -p "$pid" -m "$minor" "$@"
}

# All of the disk, read without tapdisk2.
content_of() {
    vhd-util read -n "$1" -r 0 -c "$sectors"
}

same_content() {
    content_of "$1" | cmp - before || fail "$2: the disk has changed"
}

requests() {
    tap-ctl stats -p "$pid" -m "$minor" | cksum
}

goes_on() {
    test "$(requests)" != "$last"
}

# Each layer gets its share of the writes.
let_it_write() {
    last=$(requests)
    wait_for goes_on
}

for n in 1 2 3 4 5; do
    let_it_write
    pause
    content_of $((n - 1)).vhd >before
    vhd-util snapshot -n $n.vhd -p $((n - 1)).vhd -e
    same_content $n.vhd "snapshot $n"
    unpause -a "vhd:$tmp/$n.vhd"
done

# 4 goes into 3 while the disk is paused, and 2 into 1 while it is served: 2 still hides all that
# changes below it.
let_it_write
pause
content_of 5.vhd >before
vhd-util coalesce -n 4.vhd >out
vhd-util modify -n 5.vhd -p 3.vhd
rm 4.vhd
same_content 5.vhd "coalesce while paused"
unpause

let_it_write
vhd-util coalesce -n 2.vhd >out
pause
content_of 5.vhd >before
vhd-util modify -n 3.vhd -p 1.vhd
rm 2.vhd
same_content 5.vhd "coalesce while served"
unpause
let_it_write

touch enough
wait "$load"
test ! -e failed || fail "a request failed: $(cat log)"
tap-ctl stats -p "$pid" -m "$minor" | grep -q '"errors": 0,' || fail "errors: $(tap-ctl stats -p "$pid" -m "$minor")"

# What is served is what is in the files: 5 over 3 over 1 over 0.
qemu-img convert -f raw -O raw "$uri" served
stop_disk
content_of 5.vhd | cmp - served || fail "what was served is not what the images hold"
vhd-util check -n 5.vhd -p >out || fail "$(cat out)"
vhd-util query -n 5.vhd -d >out
grep -qx "chain depth: 4" out || fail "5, 3, 1 and 0 should be left: $(cat out)"
