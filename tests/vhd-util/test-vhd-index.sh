#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# vhd-index makes indexes of chains, shows what is in them, and says what is wrong with one.
. "${top_srcdir:=.}/tests/functions.sh"

cd "$tmp"

# ---- usage ----
expect_exit 0 vhd-index -h
grep -q '^options: ' out || fail "no options"
cp out options
wrong() {
    expect_exit 22 vhd-index "$@"
    cmp -s options err || fail "no usage for: $*"
    test ! -s out || fail "stdout for: $*"
}
wrong
wrong --nonsense
wrong -i index
wrong -v base
wrong -i index -s index -v base
wrong -i index -v base -b 0
wrong -s index -b 0
wrong -s index -v base -b x
wrong -s index more
expect_exit 0 vhd-index --version
grep -q '^vhd-index [0-9]' out || fail "version: $(cat out)"

# ---- an index ----
truncate -s 2M raw
vhd-util snapshot -n base -p raw -m
vhd-util snapshot -n leaf -p base -e
"$top_builddir/tests/vhd-util/vhd-write" base 100 300 98
"$top_builddir/tests/vhd-util/vhd-write" leaf 7 100 108
expect_exit 0 vhd-index -i pool -v leaf
test ! -s out || fail "it speaks: $(cat out)"
for file in pool.index pool.files leaf.bat; do
    test -s $file || fail "$file is missing"
done
expect_exit 0 vhd-index -s pool
cat >wanted <<EOT
index: $(realpath .)/pool
blocks: 1
files: 3
EOT
head -n 3 out | cmp - wanted || fail "$(cat out)"
grep -q "^file 1: [0-9a-f-]\{36\} $(realpath leaf)\$" out || fail "the image: $(cat out)"
grep -q "^file 2: [0-9a-f-]\{36\} $(realpath base)\$" out || fail "its parent: $(cat out)"
grep -qx "file 3: raw $(realpath raw)" out || fail "the raw file: $(cat out)"
expect_exit 0 vhd-index -s pool -v leaf
cat >wanted <<EOT
image: $(realpath leaf)
size: 2097152
blocks: 1 of 1
block 0: sector 1
EOT
cmp out wanted || fail "$(cat out)"

# Each sector of a block is told once, in order.
expect_exit 0 vhd-index -s pool -v leaf -b 0
awk '$1 != end { bad = 1 } { end += $2 } !/^[0-9]+ [0-9]+ (nowhere|file [123] sector [0-9]+)$/ { bad = 1 }
    END { exit bad || end != 4096 }' out || fail "$(cat out)"
cat >wanted <<EOT
0 7 file 3
7 100 file 1
107 293 file 2
400 3696 file 3
EOT
sed 's/ sector .*//' out | cmp - wanted || fail "$(cat out)"

# The same blocks take no more room; others are added.
before=$(wc -c <pool.index)
expect_exit 0 vhd-index -i pool -v leaf
test "$(wc -c <pool.index)" -eq "$before" || fail "the same blocks were written again"
expect_exit 0 vhd-index -i pool -v base
expect_exit 0 vhd-index -s pool -v base
grep -qx 'block 0: sector 65' out || fail "$(cat out)"

# ---- what goes wrong ----
one_line() {
    test "$(wc -l <err)" -eq 1 || fail "not one line: $(cat err)"
    grep -q "^vhd-index: $1" err || fail "not about $1: $(cat err)"
}
expect_exit 34 vhd-index -s pool -v leaf -b 1
one_line 'pool: block 1'
expect_exit 2 vhd-index -s nothing
one_line nothing
expect_exit 2 vhd-index -s pool -v raw
one_line pool
# An index that could not be begun is not left.
expect_exit 2 vhd-index -i fresh -v nothing
one_line fresh
expect_exit 22 vhd-index -i fresh -v raw
one_line fresh
for file in fresh.index fresh.files; do
    test ! -e $file || fail "an empty index is left"
done
expect_exit 2 vhd-index -i nowhere/fresh -v leaf
# Of another index.
vhd-index -i other -v leaf
expect_exit 22 vhd-index -s pool -v leaf
one_line 'pool: bat'
# Damaged.
printf 'X' | dd of=pool.files bs=1 seek=600 conv=notrunc status=none
expect_exit 5 vhd-index -s pool
one_line 'pool: files'
expect_exit 5 vhd-index -i pool -v leaf
one_line 'pool: files'
: >other.index
expect_exit 5 vhd-index -s other
