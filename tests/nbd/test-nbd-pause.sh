#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A client goes on over pauses of the disk as if nothing had been, and ends with its close.
. "${top_srcdir:=.}/tests/functions.sh"
requires nbdcopy --version

truncate -s 256M "$tmp/source"
dd if=/dev/urandom of="$tmp/source" bs=1M count=256 conv=notrunc 2>/dev/null
truncate -s 256M "$tmp/img"
start_disk "aio:$tmp/img"

nbdcopy "$tmp/source" "$uri" &
copy=$!
pauses=0
while test "$pauses" -lt 3 || ! gone "$copy"; do
    tap-ctl pause -p "$pid" -m "$minor"
    tap-ctl unpause -p "$pid" -m "$minor"
    pauses=$((pauses + 1))
done
wait "$copy" || fail "nbdcopy did not like $pauses pauses"

nbdcopy "$uri" "$tmp/copy"
cmp "$tmp/source" "$tmp/copy" || fail "other bytes after $pauses pauses"

# Close under load: the client learns of it, nothing waits for it.
while nbdcopy --connections=4 "$tmp/source" "$uri" 2> "$tmp/err"; do :; done &
copies=$!
is_connected() {
    tap-ctl stats -p "$pid" -m "$minor" | grep -q '"clients": [1-9]'
}
wait_for is_connected
stop_disk "$pid" "$minor"
wait "$copies" || :
nothing_left
