#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tapdisk-diff compares the blocks that a VHD image has itself, and nothing else.
. "${top_srcdir:=.}/tests/functions.sh"

# ---- usage ----
expect_exit 0 tapdisk-diff -h
cp "$tmp/out" "$tmp/usage"
grep -qx 'usage: tapdisk-diff -n vhd:/path -m type:/path \[-h\]' "$tmp/usage" || fail "the usage"
bad_usage() {
    expect_exit 22 tapdisk-diff "$@"
    cmp -s "$tmp/out" "$tmp/usage" || fail "no usage for: $*"
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "not one line for: $*"
}
bad_usage
bad_usage -x
bad_usage -n
bad_usage -n vhd:/a
bad_usage -m vhd:/a
bad_usage -n vhd:/a -m vhd:/b more
# The first must be a VHD image.
bad_usage -n aio:/a -m vhd:/b
bad_usage -n /a -m vhd:/b
bad_usage -n vhdx:/a -m vhd:/b

tapdisk2 --help | grep -q '^types:.* vhd\( \|$\)' || skip "this build has no driver for VHD"
requires qemu-img --version

# ---- images of 16 MiB, in blocks of 2 MiB ----
make_vhd() {
    qemu-img create -q -f vpc -o force_size=on "$tmp/$1" "${2:-16M}"
}
io() { # format, file, commands
    format=$1
    file=$2
    shift 2
    for command; do
        qemu-io -f "$format" -c "$command" "$tmp/$file" >"$tmp/io" 2>&1 || fail "$(cat "$tmp/io")"
    done
}
make_vhd a
make_vhd b
make_vhd empty
truncate -s 16M "$tmp/raw"
for image in vpc:a vpc:b raw:raw; do
    io "${image%:*}" "${image#*:}" 'write -P 7 2M 1M' 'write -P 9 4194303 1' 'write -P 8 16776704 512'
done

equal() {
    expect_exit 0 tapdisk-diff -n "vhd:$tmp/$1" -m "$2:$tmp/$3"
    test ! -s "$tmp/err" || fail "$1 equals $3: $(cat "$tmp/err")"
}
differs() {
    expect_exit 22 tapdisk-diff -n "vhd:$tmp/$1" -m "$2:$tmp/$3"
    test "$(cat "$tmp/err")" = "mismatch at sector 0x$4" || fail "$1, $3: $(cat "$tmp/err")"
}
equal a aio raw
equal a sync raw
equal a vhd b
equal a vhd a
differs a vhd empty 1000
equal empty aio raw

# What lies outside of the image's blocks does not count.
io raw raw 'write -P 1 0 2M' 'write -P 1 8M 64k'
equal a aio raw
# In a block it does, be it where the image reads zeroes, up to the last sector.
io raw raw 'write -P 1 3145728 512'
differs a aio raw 1800
io raw raw 'write -z 3145728 512' 'write -P 1 16776704 1'
differs a aio raw 7fff
# The first of several is told.
io raw raw 'write -P 1 2097153 1'
differs a aio raw 1000

# Other sizes, both told.
make_vhd larger 18M
expect_exit 22 tapdisk-diff -n "vhd:$tmp/a" -m "vhd:$tmp/larger"
grep -q '32768 sectors.* 36864 sectors' "$tmp/err" || fail "sizes: $(cat "$tmp/err")"
truncate -s 17M "$tmp/raw"
expect_exit 22 tapdisk-diff -n "vhd:$tmp/a" -m "aio:$tmp/raw"
grep -q 'sizes differ' "$tmp/err" || fail "sizes: $(cat "$tmp/err")"

# A fixed image has every block.
qemu-img create -q -f vpc -o subformat=fixed,force_size=on "$tmp/fixed" 16M
truncate -s 16M "$tmp/zero"
equal fixed aio zero
io raw zero 'write -P 1 5M 512'
differs fixed aio zero 2800

# What cannot be opened.
expect_exit 2 tapdisk-diff -n "vhd:$tmp/no" -m "vhd:$tmp/a"
expect_exit 2 tapdisk-diff -n "vhd:$tmp/a" -m "vhd:$tmp/no"
expect_exit 22 tapdisk-diff -n "vhd:$tmp/zero" -m "vhd:$tmp/a"
