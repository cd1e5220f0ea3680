#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is made keeps its name after a power cut: the folder is synced once the file is, and for a
# journal before the image is touched.
. "${top_srcdir:=.}/tests/functions.sh"
requires strace -V
strace -o "$tmp/probe" true 2>/dev/null || skip "nothing can be traced here"
test -z "${SANITIZERS:-}" || skip "sanitizers are no good under a tracer"

folder=$tmp/folder
mkdir "$folder"

traced() {
    strace -f -y -qq -o "$tmp/trace" -e trace=fsync,fdatasync,pwrite64,pwritev2,pwritev "$@" >"$tmp/said" ||
        fail "$*: $(cat "$tmp/said")"
}

# The number of the first line of the trace with this text.
line_of() {
    grep -nF "$1" "$tmp/trace" | head -n 1 | cut -d : -f 1
}

traced vhd-util create -n "$folder/base.vhd" -s 8
tail -n 1 "$tmp/trace" | grep -qF "<$folder>)" || fail "create: $(tail -n 1 "$tmp/trace")"
traced vhd-util snapshot -n "$folder/leaf.vhd" -p "$folder/base.vhd" -e
tail -n 1 "$tmp/trace" | grep -qF "<$folder>)" || fail "snapshot: $(tail -n 1 "$tmp/trace")"

traced vhd-util resize -n "$folder/base.vhd" -s 20 -j "$folder/journal"
synced=$(line_of "<$folder>)")
touched=$(line_of "<$folder/base.vhd>")
test -n "$synced" || fail "resize: the journal may lose its name"
test "$synced" -lt "$touched" || fail "resize: the image comes before the journal's name"

traced cbt-util create -n "$folder/cbt" -s 8388608
tail -n 1 "$tmp/trace" | grep -qF "<$folder>)" || fail "cbt-util: $(tail -n 1 "$tmp/trace")"
