#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What cannot be served is refused: the errno, one line that says what and why, and nothing left.
. "${top_srcdir:=.}/tests/functions.sh"

one_line() { # words that must be in the line...
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "$params: not one line: $(cat "$tmp/err")"
    test ! -s "$tmp/out" || fail "$params: on standard output: $(cat "$tmp/out")"
    for word; do
        grep -qF -e "$word" "$tmp/err" || fail "$params: no \"$word\" in: $(cat "$tmp/err")"
    done
}

# errno, params, words of the answer...
refused() {
    code=$1
    params=$2
    shift 2
    expect_exit "$code" tapdisk2 -n "$params"
    one_line "$@"
    nothing_left
    expect_exit "$code" tap-ctl create -a "$params"
    one_line "tap-ctl: create: " "$@"
    # The process that was spawned leaves by itself.
    wait_for nothing_left_yet
}

nothing_left_yet() {
    test -z "$(find "$BLKTAP_CONTROL_DIR" ! -type d)"
}

truncate -s 1M "$tmp/good"
refused 22 "$tmp/good" "$tmp/good"
refused 22 "aio:" "aio"
refused 2 "nonsense:$tmp/good" "nonsense"
refused 2 "AIO:$tmp/good" "AIO"
refused 36 "averylongtype:$tmp/good" "averylongtype"
refused 38 "vmdk:$tmp/good" "vmdk"
refused 22 "aio:$tmp/a
b"

for type in aio sync; do
    refused 2 "$type:$tmp/missing" "$tmp/missing" "No such file or directory"
    refused 2 "$type:$tmp/no/such/folder" "$tmp/no/such/folder" "No such file or directory"

    mkdir -p "$tmp/folder"
    refused 22 "$type:$tmp/folder" "$tmp/folder" "irectory"

    : >"$tmp/empty"
    refused 22 "$type:$tmp/empty" "$tmp/empty" "empty"

    truncate -s 1000 "$tmp/odd"
    refused 22 "$type:$tmp/odd" "$tmp/odd" "512"

    mkfifo "$tmp/fifo" 2>/dev/null || :
    refused 22 "$type:$tmp/fifo" "$tmp/fifo"
    refused 22 "$type:/dev/null" "/dev/null"
done

long=$(printf '%5000s' '' | tr ' ' a)
refused 36 "aio:/$long"
