#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tap-ctl -C: what a guest changes is in the file of changed blocks, through pauses and kills, and a
# file that is damaged meanwhile is given up with an event, not with the disk.
. "${top_srcdir:=.}/tests/functions.sh"

requires qemu-io --version

log=$tmp/changes
truncate -s 1M "$tmp/image"
cbt-util create -n "$log" -s 1048576
io() {
    qemu-io -f raw "$@" "$uri" >"$tmp/io" 2>&1 || fail "$(cat "$tmp/io")"
    ! grep -q failed "$tmp/io" || fail "$(cat "$tmp/io")"
}
bits() {
    test "$(cbt-util get -n "$log" -b | od -An -tx1)" = " $*" ||
        fail "bits $(cbt-util get -n "$log" -b | od -An -tx1), not $*"
}

start_disk "aio:$tmp/image" -C "$log"
io -c 'write 64k 512'
bits 02 00
io -c 'write 1023k 1k' -c 'discard 640k 64k' -c 'read 256k 64k'
bits 02 84
io -c 'write -z 0 1' -c flush
bits 03 84

# Without -c an unpause takes the log away; with it the log comes back.
tap-ctl pause -p "$pid" -m "$minor"
tap-ctl unpause -p "$pid" -m "$minor"
io -c 'write 128k 512'
bits 03 84
tap-ctl pause -p "$pid" -m "$minor"
tap-ctl unpause -p "$pid" -m "$minor" -c "$log"
io -c 'write 192k 512'
bits 0b 84

# What was answered is in the file, whatever becomes of the tapdisk.
io -c 'write 256k 512'
kill -KILL "$pid"
wait_gone "$pid"
bits 1b 84

# A file that does not fit is refused, and so is one that is not there; the disk has left no trace.
for file in "$tmp/nowhere" "$tmp" "$tmp/image"; do
    expected=22
    test -e "$file" || expected=2
    expect_exit "$expected" tap-ctl create -a "aio:$tmp/image" -C "$file"
done
truncate -s 49 "$log"
expect_exit 22 tap-ctl create -a "aio:$tmp/image" -C "$log"

# Cut off while the disk is served.
cbt-util create -n "$log" -s 1048576
cbt-util set -n "$log" -f 1
start_disk "aio:$tmp/image" -C "$log"
tap-ctl monitor -m "$minor" -p "$pid" >"$tmp/events" &
monitor=$!
at_exit kill_monitor
kill_monitor() {
    gone "$monitor" || kill "$monitor"
}
is_listening() {
    tap-ctl pause -p "$pid" -m "$minor"
    tap-ctl unpause -p "$pid" -m "$minor" -c "$log"
    grep -q '"state"' "$tmp/events"
}
wait_for is_listening
truncate -s 48 "$log"
io -c 'write 512k 512' -c 'write 0 512' -c flush
wait_for grep -q '"log-failed"' "$tmp/events"
tap-ctl stats -p "$pid" -m "$minor" | grep -q '"log": *"failed"' || fail "the statistics"
io -c 'read -P 0xcd 512k 512' -c 'write -P 7 0 64k' -c flush
io -c 'read -P 7 0 64k'
test "$(od -An -tx1 -j32 -N4 "$log")" = ' 00 00 00 00' || fail "the file is not disowned"
test "$(stat -c %s "$log")" -eq 48 || fail "the file is as long as if it were whole"
stop_disk
