#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Minors are taken lowest first, each once however many ask, and given back only when nobody uses them.
. "${top_srcdir:=.}/tests/functions.sh"

dir=$BLKTAP_CONTROL_DIR/tapdisk
for n in 0 1 2; do
    test "$(tap-ctl allocate)" = "$dir/tapdisk-$n" || fail "minor $n"
done
tap-ctl free -m 1
expect_exit 0 tap-ctl allocate -d any-name
test "$(cat "$tmp/out")" = "$dir/tapdisk-1" || fail "the freed minor is not taken again"
expect_exit 17 tap-ctl allocate -m 2
test "$(tap-ctl allocate -m 7)" = "$dir/tapdisk-7" || fail "a wanted minor"
expect_exit 2 tap-ctl free -m 99

tap-ctl list >"$tmp/list"
printf 'minor=%s\n' 0 1 2 7 | cmp - "$tmp/list" || fail "markers without a tapdisk"
test "$(stat -c %a "$dir/tapdisk-0")" = 600 || fail "mode of a marker"
test "$(stat -c %a "$dir")" = 700 || fail "mode of the directory"

# From an empty machine, all at once.
rm -r "$BLKTAP_CONTROL_DIR"
i=0
while test $i -lt 50; do
    tap-ctl allocate >"$tmp/got.$i" &
    i=$((i + 1))
done
wait
sort -u "$tmp"/got.* >"$tmp/all"
test "$(wc -l <"$tmp/all")" -eq 50 || fail "50 callers got $(wc -l <"$tmp/all") minors"

(cd "$dir" && "$PYTHON" -c 'for n in range(16384): open(f"tapdisk-{n}", "a").close()')
expect_exit 28 tap-ctl allocate
test ! -s "$tmp/out" || fail "output without a free minor"

expect_exit 19 tap-ctl allocate -K
test ! -s "$tmp/out" || fail "output without a kernel driver"
