#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# After kill -9 the next tap-ctl finds no ghost, and what is left can be taken away and used again.
. "${top_srcdir:=.}/tests/functions.sh"

truncate -s 1M "$tmp/img"
start_disk "aio:$tmp/img"
dead=$pid
kill -KILL "$dead"
wait_gone "$dead"
test -S "$BLKTAP_CONTROL_DIR/ctl$dead" || fail "nothing was left that could be cleaned up"

tap-ctl list >"$tmp/list"
test "$(cat "$tmp/list")" = "minor=$minor" || fail "the list after the kill: $(cat "$tmp/list")"
test ! -e "$BLKTAP_CONTROL_DIR/ctl$dead" || fail "list leaves the dead control socket"

# The dead process held the lock of the image and of the minor: both are free.
expect_exit 0 tap-ctl destroy -p "$dead" -m "$minor"
nothing_left
start_disk "aio:$tmp/img"
test "$minor" -eq 0 || fail "the minor number was not free again"

# The same without a list in between.
kill -KILL "$pid"
wait_gone "$pid"
expect_exit 0 tap-ctl destroy -p "$pid" -m "$minor"
nothing_left
