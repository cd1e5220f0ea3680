#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every way in which an image can be damaged has a folder: `make` builds the image, `run` is the
# command, and `expect` what it says is wrong (of its first line, without the name); it exits with
# 22 after the dump of headers, and changes nothing.  UPDATE=1 writes `expect`.
. "${top_srcdir:=.}/tests/functions.sh"

damage() {
    "${PYTHON:-python3}" "$top_srcdir/tests/images/damage.py" "$@"
}

count=0
for folder in "$top_srcdir"/tests/images/vhd-*; do
    name=${folder##*/}
    dir=$tmp/$name
    mkdir "$dir"
    img=$dir/$name.vhd
    # shellcheck disable=SC1091 # each folder has its own
    . "$folder/make"
    before=$(cksum <"$img")
    status=0
    # shellcheck disable=SC1091
    (. "$folder/run") >"$tmp/out" 2>"$tmp/err" || status=$?
    head -n 1 "$tmp/out" | sed "s,^$img: ,,;s,$dir,DIR,g;s,should be 0x.*,should be SUM,;s,bad checksum 0x[1-9a-f][0-9a-f]*,bad checksum SUM," >"$tmp/said"
    test -z "${UPDATE:-}" || cp "$tmp/said" "$folder/expect"
    diff "$folder/expect" "$tmp/said" >&2 || fail "$name: expected <, and it said >"
    test $status -eq 22 || fail "$name: exit $status"
    test ! -s "$tmp/err" || fail "$name: $(cat "$tmp/err")"
    test "$before" = "$(cksum <"$img")" || fail "$name: the image was changed"
    rm -r "$dir"
    count=$((count + 1))
done

# Every row of the table has its folder, but for those that need a whole chain (another test).
grep -oE '^	X\([A-Z_]+' "$top_srcdir/blktap2/vhd/lib/problems.h" | sed 's/.*(//' |
    tr 'A-Z_' 'a-z-' | grep -Ev '^parent-(loop|depth|unreadable)$' | while read -r row; do
    test -d "$top_srcdir/tests/images/vhd-$row" || fail "no image for $row"
done
test $count -ge 50 || fail "only $count images"
