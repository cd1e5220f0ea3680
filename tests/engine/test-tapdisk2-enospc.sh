#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A file system that is full: the writer is told, what was written stays, and the disk goes on when
# there is room again.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
if test -z "${IN_NAMESPACE:-}"; then
    requires unshare -m true
    IN_NAMESPACE=yes unshare -m "${SHELL:-/bin/sh}" "$0"
    exit
fi

mkdir "$tmp/fs"
mount -t tmpfs -o size=4m none "$tmp/fs" || skip "no tmpfs may be mounted"
at_exit umount -l "$tmp/fs"
for type in aio sync; do
    truncate -s 64M "$tmp/fs/img"
    start_disk "$type:$tmp/fs/img"
    qemu-io -f raw -c 'write -P 1 0 1M' -c flush "$uri" >/dev/null
    head -c 16M /dev/zero >"$tmp/fs/ballast" 2>/dev/null || :

    qemu-io -f raw -c 'write -P 2 16M 1M' "$uri" >"$tmp/full" 2>&1 || :
    grep -q 'No space left on device' "$tmp/full" || fail "$type: the writer hears: $(cat "$tmp/full")"
    qemu-io -f raw -c 'read -P 1 0 1M' -c 'write -P 3 0 1M' -c flush -c 'read -P 3 0 1M' "$uri" \
        >"$tmp/rest" 2>&1 || fail "$type: $(cat "$tmp/rest")"
    if grep -q 'verification failed' "$tmp/rest"; then fail "$type: $(cat "$tmp/rest")"; fi

    rm "$tmp/fs/ballast"
    qemu-io -f raw -c 'write -P 2 16M 1M' -c flush -c 'read -P 2 16M 1M' -c 'read -P 3 0 1M' \
        "$uri" >"$tmp/again" 2>&1 || fail "$type: $(cat "$tmp/again")"
    if grep -q 'verification failed' "$tmp/again"; then fail "$type: $(cat "$tmp/again")"; fi
    stop_disk
    rm "$tmp/fs/img"
done
nothing_left
