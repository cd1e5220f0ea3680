#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tapdisk2(8) has every option and every type that the program has.
. "${top_srcdir:=.}/tests/functions.sh"

page=$top_srcdir/blktap2/drivers/tapdisk2.8
tapdisk2 --help >"$tmp/help"
grep -oE '^  --?[a-zA-Z-]+' "$tmp/help" | sed 's/^ *-//' >"$tmp/options"
test -s "$tmp/options" || fail "no options in the help"
while read -r option; do
    grep -qE "^\.It Fl (.* , )?$option\b" "$page" || fail "no option -$option in tapdisk2(8)"
done <"$tmp/options"

types=$(sed -n 's/^types: //p' "$tmp/help")
for type in $types; do
    grep -q "^\.It Li $type\$" "$page" || fail "no type $type in tapdisk2(8)"
done
