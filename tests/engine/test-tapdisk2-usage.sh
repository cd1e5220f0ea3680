#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The command line of tapdisk2: what it says on which stream, and how it ends.
. "${top_srcdir:=.}/tests/functions.sh"

usage='usage: tapdisk2 [-D] [-n type:path[|type:path...]]'

says_usage() { # file that has it, file that is empty
    test "$(head -n 1 "$1")" = "$usage" || fail "first line of the usage: $(head -n 1 "$1")"
    test ! -s "$2" || fail "on the wrong stream: $(cat "$2")"
}

for option in -h --help; do
    expect_exit 0 tapdisk2 $option
    says_usage "$tmp/out" "$tmp/err"
done
grep -q '^types: .*aio' "$tmp/out" || fail "the help does not list the types"

expect_exit 0 tapdisk2 --version
test "$(wc -l <"$tmp/out")" -eq 1 || fail "--version is one line"

expect_exit 1 tapdisk2 -s 1
test ! -s "$tmp/out" || fail "-s writes to standard output"
test -s "$tmp/err" || fail "-s does not say why it is refused"

wrong() {
    expect_exit 22 tapdisk2 "$@"
    grep -qF "$usage" "$tmp/err" || fail "no usage for: $*"
    test ! -s "$tmp/out" || fail "on standard output: $*"
}
wrong -n
wrong -x
wrong --nonsense
wrong operand
wrong -n "aio:$tmp/img" operand
wrong -K -N -n "aio:$tmp/img"
wrong --idle-timeout
wrong --idle-timeout x
wrong --idle-timeout -1
wrong --idle-timeout 99999999999999999999
nothing_left
