#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tapdisk-stream writes what a disk reads as, all of it or a part, to whatever takes it.
. "${top_srcdir:=.}/tests/functions.sh"

image=$tmp/image
head -c 3145728 /dev/urandom >"$image"
truncate -s 9M "$image"
printf tail >>"$image"
truncate -s 9437696 "$image" # 18433 sectors
before=$(stat -c '%y %s' "$image")

# ---- all of it, and parts ----
tapdisk-stream -n "aio:$image" | cmp - "$image" || fail "all of it"
tapdisk-stream -n "sync:$image" >"$tmp/copy" || fail "to a file"
cmp "$tmp/copy" "$image" || fail "to a file"
part() {
    tapdisk-stream -n "aio:$image" -s "$1" -c "$2" >"$tmp/part" || fail "sectors $1, $2"
    dd if="$image" bs=512 skip="$1" count="$2" status=none | cmp - "$tmp/part" ||
        fail "sectors $1, $2 differ"
}
part 0 1
part 1 2047
part 5 4096
part 6143 2
part 18432 1
part 18000 100000
part 18433 1
part 7 0
tapdisk-stream -n "aio:$image" -s 18432 | cmp - "$image" -i 0:9437184 || fail "the last sector"
test "$(stat -c '%y %s' "$image")" = "$before" || fail "the image was changed"

# Through a stack, and beside another reader.
cbt-util create -n "$tmp/changes" -s 9437696
tapdisk-stream -n "log:cbt=$tmp/changes|aio:$image" | cmp - "$image" || fail "a stack"
test -z "$(find "$tmp" -path '*/run*')" || fail "it has made a control directory"

# ---- usage ----
expect_exit 0 tapdisk-stream -h
cp "$tmp/out" "$tmp/usage"
grep -q '^usage: tapdisk-stream -n type:/path \[-c sectors\] \[-s skip\] \[-h\]$' "$tmp/usage" ||
    fail "the usage"
bad_usage() {
    expect_exit 22 tapdisk-stream "$@"
    cmp -s "$tmp/out" "$tmp/usage" || fail "no usage for: $*"
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "not one line for: $*"
}
bad_usage
bad_usage -x
bad_usage -n
bad_usage -n "aio:$image" more
for number in '' x 1x -1 +1 0x1 ' 1' 99999999999999999999; do
    bad_usage -n "aio:$image" -c "$number"
    bad_usage -n "aio:$image" -s "$number"
done

# ---- errors, each with one line and no output ----
error() {
    expect_exit "$@"
    test ! -s "$tmp/out" || fail "output with an error: $*"
    grep -q '^tapdisk-stream: ' "$tmp/err" || fail "no message: $*"
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "not one line for: $*"
}
error 22 tapdisk-stream -n "aio:$image" -s 18434
grep -q 'beyond the end' "$tmp/err" || fail "a start beyond the end"
error 22 tapdisk-stream -n "aio:$image" -s 18446744073709551615
error 2 tapdisk-stream -n "aio:$tmp/nowhere"
error 2 tapdisk-stream -n "frob:$image"
error 22 tapdisk-stream -n "$image"
error 22 tapdisk-stream -n "aio:$tmp"
error 22 tapdisk-stream -n aio:

# An output that is full, and one that nobody reads.
status=0
tapdisk-stream -n "aio:$image" >/dev/full 2>"$tmp/err" || status=$?
test "$status" -eq 28 || fail "exit $status with a full output"
grep -q '^tapdisk-stream: standard output: ' "$tmp/err" || fail "a full output"
{
    status=0
    tapdisk-stream -n "aio:$image" 2>"$tmp/err" || status=$?
    echo "$status" >"$tmp/status"
} | head -c 1 >"$tmp/part"
test "$(cat "$tmp/status")" -eq 32 || fail "exit $(cat "$tmp/status") when nobody reads"
grep -q '^tapdisk-stream: standard output: Broken pipe$' "$tmp/err" || fail "when nobody reads"

# An image that loses its end while it is read: it waits for us to read on.
head -c 33554432 /dev/urandom >"$tmp/shrinks"
mkfifo "$tmp/pipe"
{
    status=0
    tapdisk-stream -n "aio:$tmp/shrinks" >"$tmp/pipe" 2>"$tmp/err" || status=$?
    echo "$status" >"$tmp/status"
} &
{
    head -c 65536 >"$tmp/begin"
    : >"$tmp/shrinks"
    cat >/dev/null
} <"$tmp/pipe"
wait
test "$(cat "$tmp/status")" -eq 5 || fail "exit $(cat "$tmp/status") after a read that failed"
grep -Eq "^tapdisk-stream: aio:$tmp/shrinks: reading at sector 0x[0-9a-f]+: Input/output error$" \
    "$tmp/err" || fail "a read that failed: $(cat "$tmp/err")"

# ---- 5 GiB with little in them, to a reader of small pieces ----
big=$tmp/big
truncate -s 5G "$big"
for at in 0 1048575 1073741823 4294967295 5368709119; do
    printf x | dd of="$big" bs=1 seek="$at" conv=notrunc status=none
done
# What is zero becomes a hole again, so what is not a hole is all there is to compare.
tapdisk-stream -n "aio:$big" | dd ibs=7777 obs=64K conv=sparse of="$tmp/sparse" status=none
truncate -s '>5368709120' "$tmp/sparse"
"${PYTHON:-python3}" - "$big" "$tmp/sparse" <<'END' || fail "5 GiB differ"
import os
import sys


def data(path):
    """All that is not zero, by its offset."""
    found = {}
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return end, found
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            content = os.pread(file.fileno(), hole - at, at)
            found.update((at + i, byte) for i, byte in enumerate(content) if byte)
            at = hole


first, second = data(sys.argv[1]), data(sys.argv[2])
sys.exit(first != second or len(first[1]) != 5 or first[0] != 5 << 30)
END
