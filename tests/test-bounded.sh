#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A test ends in time, and nothing that it started outlives it.
. "${top_srcdir:=.}/tests/functions.sh"

bounded=$top_builddir/tests/bounded

# The status is that of the command.
for status in 0 1 77 99; do
    expect_exit $status "$bounded" 60 sh -c "exit $status"
done
expect_exit 137 "$bounded" 60 sh -c 'kill -KILL $$'
expect_exit 127 "$bounded" 60 "$tmp/none"
expect_exit 2 "$bounded" never true
expect_exit 2 "$bounded" 60

# A descriptor of a pipe tells of the end of the last one that has it.
mkfifo "$tmp/alive"
expect_no_one_left() {
    timeout "$WAIT_SECONDS" cat >/dev/null || fail "$1"
}
forever='tail -f /dev/null'

# What it leaves behind, out of its session.
"$bounded" 60 sh -c "setsid sh -c '$forever; :' & setsid $forever &" >"$tmp/alive" 2>&1 &
expect_no_one_left "left by a test that passed" <"$tmp/alive"
wait $! || fail "what is left is no failure"

# One that hangs, even if it calls that a success.
"$bounded" 1 sh -c "trap 'exit 0' TERM; setsid $forever & wait" >"$tmp/alive" 2>&1 &
{
    read -r said
    expect_no_one_left "left by a test that hung"
} <"$tmp/alive"
test "$said" = "bounded: not ended after 1 s" || fail "$said"
status=0
wait $! || status=$?
test $status -eq 124 || fail "a test that hung ended with $status"

# Interrupted.
"$bounded" 60 sh -c "echo begun; $forever; :" >"$tmp/alive" &
{
    read -r _
    kill -TERM $!
    expect_no_one_left "left by a test that was interrupted"
} <"$tmp/alive"
