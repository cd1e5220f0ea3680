#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A full file system fails the writes that need room, and nothing else; with room they go on.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
test "$(id -u)" -eq 0 || skip "mounting needs root"

mkdir "$tmp/fs"
mount -t tmpfs -o size=24m blktap "$tmp/fs" 2>/dev/null || skip "nothing can be mounted"
at_exit umount -l "$tmp/fs"
image=$tmp/fs/a.vhd
vhd-make dynamic "$image" 204800
start_disk "vhd:$image"
io() {
    qemu-io -f raw "$uri" "$@" >"$tmp/io" 2>&1 || :
    grep -q 'verification failed' "$tmp/io" && fail "$(cat "$tmp/io")"
    return 0
}

io -c 'write -P 1 0 4M' -c flush
dd if=/dev/zero of="$tmp/fs/filler" bs=1M status=none 2>/dev/null || :
io -c 'write -P 2 40M 8M'
grep -q 'No space left' "$tmp/io" || fail "no error: $(cat "$tmp/io")"
io -c 'read -P 1 0 4M'
io -c 'write -P 3 0 1M' -c flush -c 'read -P 3 0 1M'
grep -q 'No space\|error' "$tmp/io" && fail "what has its room fails: $(cat "$tmp/io")"

rm "$tmp/fs/filler"
io -c 'write -P 4 40M 8M' -c flush -c 'read -P 4 40M 8M' -c 'read -P 0 60M 1M'
grep -q 'No space\|error' "$tmp/io" && fail "with room it does not go on: $(cat "$tmp/io")"
stop_disk
qemu-io -f vpc "$image" -c 'read -P 3 0 1M' -c 'read -P 1 1M 3M' -c 'read -P 4 40M 8M' >"$tmp/io" || fail "$(cat "$tmp/io")"
grep -q 'verification failed' "$tmp/io" && fail "$(cat "$tmp/io")"

# A read-only mount: served read-only.
mount -o remount,ro "$tmp/fs"
start_disk "vhd:$image"
tap-ctl info -p "$pid" -m "$minor" --json | grep -q '"read_only": true' || fail "not read-only"
qemu-io -r -f raw "$uri" -c 'read -P 4 40M 8M' >"$tmp/io" || fail "$(cat "$tmp/io")"
stop_disk
