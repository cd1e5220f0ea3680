#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# td-util: VHD images as vhd-util treats them, raw ones by itself, with the words of older tools.
. "${top_srcdir:=.}/tests/functions.sh"

cd "$tmp"
prints() {
    printf '%b' "$1" | diff - "$tmp/out" >"$tmp/diff" || fail "$2: $(cat "$tmp/diff")"
}

# ---- without a command and a type that it knows ----
banner() {
    expect_exit 255 td-util "$@"
    prints '' "output for: $*"
    sed 's/v[0-9.]*$/vN/' "$tmp/err" | diff - "$tmp/banner" || fail "the banner for: $*"
}
cat >"$tmp/banner" <<'END'
Tapdisk Utilities: vN
usage: td-util COMMAND [TYPE] [OPTIONS]
COMMAND := { create | snapshot | query | set }
END
banner
banner -h
banner create
banner query
banner frob vhd
banner create frob 1 a
banner query VHD a
banner create qcow2 1 a

# ---- usage of commands ----
for command in create snapshot query set; do
    for type in vhd aio; do
        expect_exit 0 td-util $command $type -h
        grep -q "^usage: td-util $command $type " "$tmp/out" || fail "-h of $command $type"
        expect_exit 22 td-util $command $type
        grep -q "^usage: td-util $command $type " "$tmp/err" || fail "usage of $command $type"
        prints '' "output of $command $type without words"
        expect_exit 22 td-util $command $type -x a b
    done
done
expect_exit 22 td-util create vhd 1
expect_exit 22 td-util create vhd 1 a b
expect_exit 22 td-util query vhd -v
expect_exit 22 td-util set vhd a hidden
test -z "$(ls a b 2>/dev/null)" || fail "bad usage has made files"

# ---- VHD ----
expect_exit 0 td-util create vhd 10 "$tmp/a.vhd"
prints '' "create"
expect_exit 0 td-util query vhd -vpf "$tmp/a.vhd"
prints "10\n$tmp/a.vhd has no parent\nhidden: 0\n" "query -vpf"
expect_exit 0 td-util query vhd -d -f -p -v "$tmp/a.vhd"
prints "10\n$tmp/a.vhd has no parent\nhidden: 0\nchain depth: 1\n" "the order of the lines"
expect_exit 0 td-util query vhd -vpfb "$tmp/a.vhd"
prints "10\n$tmp/a.vhd has no parent\nhidden: 0\n" "query -vpfb"
for option in v:10 f:'hidden: 0' d:'chain depth: 1'; do
    expect_exit 0 td-util query vhd "-${option%%:*}" "$tmp/a.vhd"
    prints "${option#*:}\n" "query -${option%%:*}"
done

expect_exit 0 td-util set vhd "$tmp/a.vhd" hidden 1
expect_exit 0 td-util query vhd -f "$tmp/a.vhd"
prints 'hidden: 1\n' "set hidden 1"
expect_exit 0 td-util set vhd "$tmp/a.vhd" hidden 0
expect_exit 22 td-util set vhd "$tmp/a.vhd" frob 1
grep -q 'hidden' "$tmp/err" || fail "the fields that there are"
expect_exit 22 td-util set vhd "$tmp/a.vhd" hidden 256
expect_exit 22 td-util set vhd "$tmp/a.vhd" hidden x
expect_exit 0 td-util query vhd -f "$tmp/a.vhd"
prints 'hidden: 0\n' "set of nonsense"

# What the parent holds is seen through the child.
qemu-io -f vpc -c 'write -P 7 0 64k' "$tmp/a.vhd" >"$tmp/io" 2>&1 || fail "$(cat "$tmp/io")"
expect_exit 0 td-util snapshot vhd "$tmp/b.vhd" "$tmp/a.vhd"
prints '' "snapshot"
expect_exit 0 td-util query vhd -vpfd "$tmp/b.vhd"
prints "10\n$tmp/a.vhd\nhidden: 0\nchain depth: 2\n" "query of a snapshot"
tapdisk-stream -n "vhd:$tmp/a.vhd" >"$tmp/a.raw"
tapdisk-stream -n "vhd:$tmp/b.vhd" | cmp - "$tmp/a.raw" || fail "a snapshot reads like its parent"
tapdisk-diff -n "vhd:$tmp/a.vhd" -m "vhd:$tmp/b.vhd" || fail "they differ"
expect_exit 28 td-util snapshot vhd -l 1 "$tmp/c.vhd" "$tmp/a.vhd"
test ! -e "$tmp/c.vhd" || fail "a chain that is too deep has left a file"
expect_exit 0 td-util snapshot vhd -b -l 5 "$tmp/c.vhd" "$tmp/a.vhd"

# Over a raw image.
truncate -s 4M "$tmp/raw"
printf 'raw' | dd of="$tmp/raw" conv=notrunc status=none
expect_exit 0 td-util snapshot vhd -m "$tmp/d.vhd" "$tmp/raw"
expect_exit 0 td-util query vhd -vp "$tmp/d.vhd"
prints "4\n$tmp/raw\n" "query of a child of a raw image"
tapdisk-stream -n "vhd:$tmp/d.vhd" | cmp - "$tmp/raw" || fail "a child of a raw image"

# A fixed one.
expect_exit 0 td-util create vhd -r 2 "$tmp/fixed.vhd"
test "$(stat -c %s "$tmp/fixed.vhd")" -eq 2097664 || fail "the size of a fixed image"
expect_exit 0 td-util create vhd -b 2 "$tmp/e.vhd"

# What cannot be opened: one line on standard output.
for name in nowhere raw; do
    got=0
    td-util query vhd -vpf "$tmp/$name" >"$tmp/out" 2>"$tmp/err" || got=$?
    test "$got" -ne 0 || fail "$name is queried"
    test "$(wc -l <"$tmp/out")" -eq 1 || fail "not one line about $name"
    grep -q "$tmp/$name" "$tmp/out" || fail "no word about $name"
done
expect_exit 2 td-util query vhd -v "$tmp/nowhere"
prints "error opening $tmp/nowhere: -2\n" "a file that is not there"

# ---- raw ----
expect_exit 22 td-util create aio 3 "$tmp/new"
test ! -e "$tmp/new" || fail "a raw image without -r"
expect_exit 0 td-util create aio -r 3 "$tmp/new"
prints '' "create aio"
test "$(stat -c '%s' "$tmp/new")" -eq 3145728 || fail "the size of a raw image"
test "$(stat -c '%b' "$tmp/new")" -ge 6144 || fail "a raw image has its room"
cmp -n 3145728 "$tmp/new" /dev/zero || fail "a raw image is zero"
expect_exit 17 td-util create aio -r 3 "$tmp/new"
for size in 0 -1 x '' 1k 99999999999999999999; do
    expect_exit 22 td-util create aio -r "$size" "$tmp/newer"
done
test ! -e "$tmp/newer" || fail "a bad size has made a file"
expect_exit 21 td-util create aio -r 1 "$tmp"
expect_exit 0 td-util query aio -vpf "$tmp/new"
prints "3\n$tmp/new has no parent\nhidden: 0\n" "query aio -vpf"
expect_exit 0 td-util query aio -vpfdb "$tmp/new"
prints "3\n$tmp/new has no parent\nhidden: 0\nchain depth: 1\n" "query aio -vpfdb"
expect_exit 2 td-util query aio -v "$tmp/nowhere"
prints "error opening $tmp/nowhere: -2\n" "a raw file that is not there"
expect_exit 22 td-util query aio -v "$tmp"
expect_exit 22 td-util set aio "$tmp/new" hidden 1
expect_exit 22 td-util snapshot aio "$tmp/s" "$tmp/new"
test "$(wc -l <"$tmp/err")" -eq 1 || fail "a snapshot of a raw image is refused in a line"

# Without room nothing is left.
expect_exit 27 prlimit --fsize=1048576 td-util create aio -r 3 "$tmp/full"
test ! -e "$tmp/full" || fail "a raw image without room is left"
