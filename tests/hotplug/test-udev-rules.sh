#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Rules for udev are well-formed: every line is pairs of key, operator and value, and jumps land; and
# they say of each device what they should.
. "${top_srcdir:=.}/tests/functions.sh"

rules=$top_builddir/tools/hotplug/Linux/60-blktap2.rules
! grep '@' "$rules" || fail "something was not filled in"
grep -vE '^(#.*)?$' "$rules" >"$tmp/lines"
pair='[A-Z_]+(\{[A-Za-z0-9_]+\})?(==|!=|\+=|=)"[^"]*"'
! grep -vE "^$pair(, $pair)*\$" "$tmp/lines" || fail "lines that are no rules"
grep -oE 'GOTO="[^"]*"' "$rules" | cut -d'"' -f2 | sort -u >"$tmp/jumps"
while read -r label; do
    grep -qxF "LABEL=\"$label\"" "$rules" || fail "no label $label"
done <"$tmp/jumps"
grep -q SUBSYSTEM "$tmp/lines" || fail "no rules"

"$PYTHON" -W error "$top_srcdir/tests/hotplug/test_udev_rules.py" "$rules" || fail "what devices get"

# The judge itself, where it is installed.
if udevadm verify --help >/dev/null 2>&1; then
    udevadm verify --no-style "$rules" || fail "udevadm verify"
fi
