#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every command explains itself on request, and refuses a wrong command line with its usage on stderr.
. "${top_srcdir:=.}/tests/functions.sh"

commands="list allocate free spawn attach detach open close pause unpause create destroy stats check
    major commit query cancel info wait resize snapshot mirror set monitor clean nbd-uri"

for words in "" help -h --help; do
    # shellcheck disable=SC2086
    expect_exit 0 tap-ctl $words
    test "$(sed -n 1p "$tmp/out")" = "usage: tap-ctl COMMAND [OPTIONS]" || fail "tap-ctl $words"
    grep -q '^COMMAND := { list | allocate | free | spawn | attach | detach | open ' "$tmp/out" ||
        fail "tap-ctl $words names no commands"
    test ! -s "$tmp/err" || fail "tap-ctl $words speaks on stderr"
done

for word in nonsense aaaaaaaaaaaaaaaaaaaaaaaaa; do
    expect_exit 22 tap-ctl "$word"
    test ! -s "$tmp/out" || fail "$word: something on stdout"
    grep -q '^usage: tap-ctl COMMAND' "$tmp/err" || fail "$word: no usage"
done

for version in -V --version; do
    expect_exit 0 tap-ctl "$version"
    test "$(wc -l <"$tmp/out")" -eq 1 || fail "$version is not one line"
done

for command in $commands; do
    expect_exit 0 tap-ctl "$command" -h
    grep -q "^usage: tap-ctl $command" "$tmp/out" || fail "$command -h"
    expect_exit 22 tap-ctl "$command" -Z
    test ! -s "$tmp/out" || fail "$command -Z: something on stdout"
    grep -q "^usage: tap-ctl $command" "$tmp/err" || fail "$command -Z: no usage"
    test "$command" = set || expect_exit 22 tap-ctl "$command" -p 2 -m 0 operand
done

# Mandatory options; numbers that are none, or too large.
for command in free attach detach open close pause unpause create destroy stats commit query cancel; do
    expect_exit 22 tap-ctl "$command"
done
for number in 16384 -1 0x1 1x "" " 1" 01; do
    expect_exit 22 tap-ctl free -m "$number"
done
expect_exit 22 tap-ctl create -a aio:/x -s
expect_exit 22 tap-ctl create -a aio:/x -t 0
