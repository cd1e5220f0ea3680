#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What vhd-util says, and how it exits, when it is used wrongly: every command with -h, without
# options, with bad ones, with an operand too many, and with files that are no images.
. "${top_srcdir:=.}/tests/functions.sh"

commands='create snapshot query read set repair resize fill coalesce modify scan check revert key copy'
cd "$tmp"

{
    echo 'usage: vhd-util COMMAND [OPTIONS]'
    echo "COMMAND := { $(echo "$commands" | sed 's/ / | /g') }"
} >usage
for help in '' help -h --help; do
    # shellcheck disable=SC2086 # no word is one of the cases
    expect_exit 0 vhd-util $help
    cmp usage out || fail "vhd-util $help: usage"
    test ! -s err || fail "vhd-util $help: stderr"
done
expect_exit 22 vhd-util frobnicate
test ! -s out || fail "stdout of an unknown command"
grep -q frobnicate err || fail "an unknown command is not named"
grep -q 'COMMAND :=' err || fail "no usage for an unknown command"

touch empty
mkdir folder
head -c 10000 /dev/urandom >garbage
vhd-util create -n good.vhd -s 2

# The options that a command needs besides -n.
needs() {
    case $1 in
    create) printf "%s\n" "-s 2 -n" ;;
    snapshot) printf "%s\n" "-n new.vhd -p" ;;
    read) printf "%s\n" "-p -n" ;;
    set) printf "%s\n" "-f hidden -v 1 -n" ;;
    resize) printf "%s\n" "-s 4 -f -n" ;;
    modify) printf "%s\n" "-z -n" ;;
    revert) printf "%s\n" "-j garbage -n" ;;
    key) printf "%s\n" "-p -n" ;;
    copy) printf "%s\n" "-N new.vhd -n" ;;
    scan) printf "%s\n" "" ;;
    *) printf "%s\n" "-n" ;;
    esac
}

for command in $commands; do
    expect_exit 0 vhd-util "$command" -h
    grep -q '^options: ' out || fail "$command -h: no options"
    test ! -s err || fail "$command -h: stderr"
    cp out options
    for wrong in '' -? --nonsense; do
        # shellcheck disable=SC2086
        expect_exit 22 vhd-util "$command" $wrong
        cmp options err || fail "$command $wrong: usage"
        test ! -s out || fail "$command $wrong: stdout"
    done
    if test "$command" != scan; then
        # shellcheck disable=SC2046
        expect_exit 22 vhd-util "$command" $(needs "$command") good.vhd extra
        cmp options err || fail "$command with an operand: usage"
    fi
    test "$command" != create || continue
    for file in missing folder empty garbage; do
        before=$(cksum <garbage)
        status=22
        case $file in
        missing) status=2 ;;
        folder) status=21 ;;
        esac
        # shellcheck disable=SC2046
        expect_exit $status vhd-util "$command" $(needs "$command") "$file"
        test "$(cksum <garbage)" = "$before" || fail "$command changed what is no image"
        test ! -e new.vhd || fail "$command left a file"
        case $command in
        check | key | snapshot | scan | revert) test -s out || test -s err || fail "$command: silence" ;;
        *) echo "error opening $file: -$status" | cmp - out || fail "$command $file: $(cat out)" ;;
        esac
    done
done

# Options may stand anywhere, the last one counts, numbers are strict.
expect_exit 0 vhd-util --debug query -v --debug -n missing -n good.vhd
test "$(cat out)" = 2 || fail "the last -n does not count"
for number in '' -1 0x10 1k ' 1' 99999999999999999999; do
    expect_exit 22 vhd-util create -n new.vhd -s "$number"
    test ! -e new.vhd || fail "made with size '$number'"
done
expect_exit 22 vhd-util create -n new.vhd -s 2088961
expect_exit 22 vhd-util create -n new.vhd -s 4 -S 2
expect_exit 22 vhd-util set -n good.vhd -f hidden -v 256
expect_exit 22 vhd-util set -n good.vhd -f colour -v 1
expect_exit 22 vhd-util resize -n good.vhd -s 4
expect_exit 22 vhd-util resize -n good.vhd -s 4 -f -j journal
expect_exit 22 vhd-util fill -n good.vhd -B
expect_exit 22 vhd-util coalesce -n good.vhd

# What is no image is only overwritten when that is wanted.
expect_exit 17 vhd-util create -n garbage -s 2
expect_exit 0 vhd-util create -n garbage -s 2 --force
expect_exit 0 vhd-util create -n garbage -s 3
expect_exit 0 vhd-util query -n garbage -v
test "$(cat out)" = 4 || fail "3 MB were not rounded up to 4"
expect_exit 0 vhd-util create -n empty -s 2

# An image is not overwritten by its own descendant.
vhd-util snapshot -n child.vhd -p good.vhd -e
expect_exit 22 vhd-util snapshot -n good.vhd -p child.vhd
vhd-util check -n child.vhd -p >/dev/null || fail "the chain is broken"
expect_exit 28 vhd-util snapshot -n new.vhd -p child.vhd -e -l 2
test ! -e new.vhd || fail "made beyond the limit"
expect_exit 0 vhd-util snapshot -n new.vhd -p child.vhd -e -l 3

# A device is needed for nothing that a closed stream could damage.
expect_exit 0 sh -c 'vhd-util set -n good.vhd -f hidden -v 1 >&- 2>&-'
vhd-util check -n good.vhd >/dev/null || fail "damaged by closed streams"

# A file that may not grow is an error like others, and nothing is left of the new one.
expect_exit 27 sh -c 'ulimit -f 64; vhd-util create -n large.vhd -s 4 -r'
test ! -e large.vhd || fail "a part of an image is left"
