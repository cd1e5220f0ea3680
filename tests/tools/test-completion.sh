#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bash offers exactly the commands and options that the programs explain, and the disks that there are.
. "${top_srcdir:=.}/tests/functions.sh"
requires bash -c 'mapfile -t words </dev/null'

PATH=$top_builddir/blktap2/vhd:$PATH
completions=$top_builddir/tools/completion

# offer PROGRAM WORD...: what bash offers for the last word, sorted.
offer() {
    offer_program=$1
    shift
    # shellcheck disable=SC2016 # for bash
    bash -ec 'program=$1
        source "$2/$program"
        shift 2
        COMP_WORDS=("$program" "$@")
        COMP_CWORD=$#
        "_${program//-/_}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$offer_program" "$completions" "$@" | sort
}

for program in tap-ctl vhd-util; do
    "$program" --completion | sed 's/ .*//' | sort >"$tmp/commands"
    offer "$program" '' | diff "$tmp/commands" - || fail "$program: commands"
    while read -r command; do
        grep -qw -e "$command" <<EOT || fail "$program --help does not name $command"
$("$program" --help)
EOT
        # "[-p PID]", "-m MINOR" and "--json", as the usage has them.
        "$program" "$command" -h 2>/dev/null | grep -E '^(usage|options):' | tr -s ' []' '\n' |
            grep -E '^--?[A-Za-z0-9]' | sort -u >"$tmp/explained"
        offer "$program" "$command" '' >"$tmp/offered"
        while read -r option; do
            grep -qxF -e "$option" "$tmp/offered" || fail "$program $command: $option is not offered"
        done <"$tmp/explained"
        test "$(wc -l <"$tmp/explained")" -gt 0 || test "$command" = check || test "$command" = spawn ||
            fail "$program $command explains no option"
    done <"$tmp/commands"
done

truncate -s 1M "$tmp/a pid=9 minor=8.img"
start_disk "aio:$tmp/a pid=9 minor=8.img"
test "$(offer tap-ctl pause -p '')" = "$pid" || fail "pids"
test "$(offer tap-ctl pause -p "$pid" -m '')" = "$minor" || fail "minors"
test -z "$(offer tap-ctl open -a '')" || fail "files are for bash to offer"
stop_disk
