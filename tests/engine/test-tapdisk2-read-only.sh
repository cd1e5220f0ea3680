#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk opened read-only takes no write, and its image is never opened for writing.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

truncate -s 1M "$tmp/img"
before=$(cksum <"$tmp/img")
start_disk "aio:$tmp/img" -R
qemu-io -r -f raw -c 'read -P 0 0 1M' "$uri" >"$tmp/read"
if grep -q 'verification failed' "$tmp/read"; then fail "$(cat "$tmp/read")"; fi
if qemu-io -f raw -c 'write 0 512' "$uri" >"$tmp/write" 2>&1; then
    fail "a write went through: $(cat "$tmp/write")"
fi
for fd in /proc/"$pid"/fd/*; do
    test "$(readlink "$fd")" = "$tmp/img" || continue
    flags=$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$pid/fdinfo/${fd##*/}")
    case $flags in
    *0) ;;
    *) fail "the image is open with flags $flags" ;;
    esac
done
stop_disk
test "$(cksum <"$tmp/img")" = "$before" || fail "the image has changed"
nothing_left
