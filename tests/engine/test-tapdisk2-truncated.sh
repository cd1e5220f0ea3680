#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A file that is cut while it is served: what is gone is an error to the reader, the rest is read as
# before, and the process lives.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

for type in aio sync; do
    truncate -s 4M "$tmp/img"
    start_disk "$type:$tmp/img"
    qemu-io -f raw -c 'write -P 5 0 4M' -c flush "$uri" >/dev/null
    truncate -s 1M "$tmp/img"

    qemu-io -f raw -c 'read 2M 64k' "$uri" >"$tmp/gone" 2>&1 || :
    grep -q 'Input/output error' "$tmp/gone" || fail "$type: the reader hears: $(cat "$tmp/gone")"
    qemu-io -f raw -c 'read 960k 128k' "$uri" >"$tmp/edge" 2>&1 || :
    grep -q 'Input/output error' "$tmp/edge" || fail "$type: half of it: $(cat "$tmp/edge")"
    qemu-io -f raw -c 'read -P 5 0 1M' "$uri" >"$tmp/rest" 2>&1 || fail "$type: $(cat "$tmp/rest")"
    if grep -q 'verification failed' "$tmp/rest"; then fail "$type: $(cat "$tmp/rest")"; fi
    stop_disk
    rm "$tmp/img"
done
nothing_left
