#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# As somebody who is not root: an image that may not be read is refused, one that may only be read
# is served read-only.
. "${top_srcdir:=.}/tests/functions.sh"
requires nbdinfo --version
requires unprivileged test -x "$TAPDISK"

truncate -s 1M "$tmp/img"
mkdir "$BLKTAP_CONTROL_DIR"
chmod 700 "$BLKTAP_CONTROL_DIR"
if test "$(id -u)" -eq 0; then
    chmod 711 "$tmp"
    chown 65534:65534 "$BLKTAP_CONTROL_DIR"
    chown 65534:65534 "$tmp/img"
fi

chmod 000 "$tmp/img"
expect_exit 13 unprivileged tapdisk2 -n "aio:$tmp/img"
grep -qF "$tmp/img" "$tmp/err" || fail "the path is missing: $(cat "$tmp/err")"
grep -q 'Permission denied' "$tmp/err" || fail "the reason is missing: $(cat "$tmp/err")"
test "$(wc -l <"$tmp/err")" -eq 1 || fail "not one line: $(cat "$tmp/err")"
nothing_left

chmod 400 "$tmp/img"
uri=$(unprivileged tapdisk2 -n "aio:$tmp/img")
nbdinfo --json "$uri" >"$tmp/info"
grep -q '"is_read_only": true' "$tmp/info" || fail "the disk is not read-only: $(cat "$tmp/info")"
pid=$(basename "$(socket_of "$uri")" | sed 's/^nbd//; s/\..*//')
kill "$pid"
wait_gone "$pid"
nothing_left

chmod 600 "$tmp/img"
uri=$(unprivileged tapdisk2 -n "aio:$tmp/img")
nbdinfo --json "$uri" >"$tmp/info"
grep -q '"is_read_only": false' "$tmp/info" || fail "the disk is read-only: $(cat "$tmp/info")"
