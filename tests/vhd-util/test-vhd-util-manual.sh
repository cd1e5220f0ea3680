#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual page names every command with every option that its usage has.
. "${top_srcdir:=.}/tests/functions.sh"

page=$(cd "$top_srcdir" && pwd)/blktap2/vhd/vhd-util.8
cd "$tmp"

vhd-util help | sed -n 's/^COMMAND := { \(.*\) }$/\1/p' | tr -d '|' | tr -s ' ' '\n' >commands
test "$(wc -l <commands)" -eq 15 || fail "not 15 commands"
while read -r command; do
    grep -q "^\.Ss $command\$" "$page" || fail "$command is not in the manual"
    sed -n "/^\.Ss $command\$/,/^\.S[sh]/p" "$page" | sed 1d >section
    grep -q "^\.Dl vhd-util $command" section || fail "$command has no synopsis"
    vhd-util "$command" -h | sed -n 's/^  --*\([a-zA-Z]*\).*/\1/p' >letters
    while read -r letter; do
        case $command$letter in
        coalesce[oax] | readC) continue ;; # for old callers
        esac
        grep -qE "Fl -?[a-zA-Z]*$letter" section || fail "$command: option $letter is not in the manual"
    done <letters
done <commands

if command -v man >/dev/null; then
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null 2>warnings
    test ! -s warnings || fail "man: $(cat warnings)"
fi
