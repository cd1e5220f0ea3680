#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every kind of request of QEMU's client is served, also at odd offsets.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

truncate -s 16M "$tmp/img"
start_disk "aio:$tmp/img"

# The last two are beyond the end, and fail.
qemu-io -f raw "$uri" > "$tmp/out" 2>&1 <<'COMMANDS' || :
write -P 0x11 0 1M
write -f -P 0x22 4k 4k
write -P 0x33 100 1000
write -P 0x44 8191 4098
write -z 64k 64k
write -z -u 200001 70001
discard 512k 128k
aio_write -P 0x55 2M 1M
aio_write -P 0x66 3M 512
aio_flush
flush
read -P 0x11 0 100
read -P 0x33 100 1000
read -P 0x11 1100 2996
read -P 0x22 4k 4095
read -P 0x44 8191 4098
read -P 0x11 12289 53247
read -P 0 64k 64k
read -P 0x11 131072 68929
read -P 0 200001 70001
read -P 0x11 270002 254286
read -P 0x11 640k 384k
read -P 0 1M 1M
read -P 0x55 2M 1M
read -P 0x66 3M 512
read -P 0 3146240 13630976
write 16M 1
read 16777215 2
COMMANDS
if grep -q 'verification failed' "$tmp/out"; then fail "$(cat "$tmp/out")"; fi
test "$(grep -c '^qemu-io> .*read [0-9]*/[0-9]* bytes' "$tmp/out")" -eq 15 || fail "$(cat "$tmp/out")"
stop_disk "$pid" "$minor"
nothing_left
