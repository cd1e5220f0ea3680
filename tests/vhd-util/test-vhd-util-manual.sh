#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual page names every command with every option that its usage has, and its examples work.
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

awk '/^\.Sh/ { on = ($2 == "EXAMPLES") } /^\.Bd/ { block = 1; next } /^\.Ed/ { block = 0 }
    on && block' "$page" >examples
test "$(wc -l <examples)" -ge 7 || fail "hardly any examples"
while read -r line; do
    sh -c "$line" >out 2>&1 </dev/null || fail "example: $line: $(cat out)"
done <examples
test "$(vhd-util query -n disk.vhd -v)" = 12288 || fail "the examples did something else"

if command -v man >/dev/null; then
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null 2>warnings
    test ! -s warnings || fail "man: $(cat warnings)"
fi
