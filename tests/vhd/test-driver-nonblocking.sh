#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Nothing that waits for an image happens on the loop's thread: no call that reads, writes, syncs,
# cuts or punches it, whatever the guest asks for, and while the image is opened and closed.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version
requires qemu-img --version
requires strace -V
strace -o "$tmp/probe" true 2>/dev/null || skip "nothing can be traced here"
test -z "${SANITIZERS:-}" || skip "sanitizers are no good under a tracer"

image=$tmp/a.vhd
real=$TAPDISK
cat >"$tmp/traced" <<END
#!/bin/sh
exec strace -D -f -y -qq -o "$tmp/trace" -e trace=desc,fsync,fdatasync,truncate,ftruncate "$real" "\$@"
END
chmod +x "$tmp/traced"
TAPDISK=$tmp/traced
export TAPDISK

# Calls on the image: of the loop's thread, or (any other option of grep) of the others.
calls() {
    grep -F "<$image>" "$tmp/trace" | grep "$@" "^$pid " |
        grep -E ' (p?readv?2?|p?writev?2?|pread64|pwrite64|preadv2?|pwritev2?|fsync|fdatasync|f?truncate|fallocate)\(' || :
}

# The engine that is taken by itself, and the one that is always there.
for engine in '' threads; do
    rm -f "$image"
    vhd-make dynamic "$image" 204800
    unset TAPDISK_AIO
    test -z "$engine" || export TAPDISK_AIO="$engine"
    start_disk "vhd:$image"
    qemu-io -d unmap -f raw "$uri" -c 'write -P 1 0 9M' -c flush -c 'write -P 2 30M 1M' -c 'discard 2M 4M' \
        -c 'discard 512 64k' -c 'write -z 7M 100k' -c flush -c 'write -P 3 50M 8M' -c 'read -P 3 50M 8M' \
        -c 'read -P 0 2M 4M' >"$tmp/io" || fail "$(cat "$tmp/io")"
    ! grep -q failed "$tmp/io" || fail "$(cat "$tmp/io")"
    tap-ctl pause -p "$pid" -m "$minor"
    tap-ctl unpause -p "$pid" -m "$minor"
    # Gaps are looked for now, and what is called full is taken back.
    qemu-io -d unmap -f raw "$uri" -c 'write -P 4 3M 64k' -c 'discard 50M 8M' -c 'write -P 5 70M 64k' \
        -c 'read -P 5 70M 64k' -c flush >"$tmp/io" || fail "$(cat "$tmp/io")"
    ! grep -q failed "$tmp/io" || fail "$(cat "$tmp/io")"
    qemu-img map -f raw --output=json "$uri" >"$tmp/io" || fail "no map"
    stop_disk
    calls -e >"$tmp/loop"
    test ! -s "$tmp/loop" || fail "${engine:-default}: on the loop: $(head -5 "$tmp/loop")"
    calls -v -e >"$tmp/others"
    grep -q ftruncate "$tmp/others" || fail "${engine:-default}: nothing was traced"
done
exit 0
