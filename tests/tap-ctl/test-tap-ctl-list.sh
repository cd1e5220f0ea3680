#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Rows for scripts have a fixed form; a tapdisk that hangs or has died does not spoil the list.
. "${top_srcdir:=.}/tests/functions.sh"

plain=$tmp/disk.img
odd="$tmp/a b,c:d=e pid=1 é.img"
for image in "$plain" "$odd"; do
    truncate -s 1M "$image"
done
start_disk "aio:$plain"
first=$pid
start_disk "aio:$odd" 2>"$tmp/warned"
grep -q 'warning' "$tmp/warned" || fail "no warning about a path that some tools cannot manage"
second=$pid
tap-ctl allocate >/dev/null

# Rows in order of the pids.
rows() {
    if test "$first" -lt "$second"; then
        printf '%s\n' "$1" "$2"
    else
        printf '%s\n' "$2" "$1"
    fi
}
rows "pid=$first minor=0 state=0 args=aio:$plain" \
    "pid=$second minor=1 state=0 args=aio:$odd" >"$tmp/want"
echo "minor=2" >>"$tmp/want"
tap-ctl list >"$tmp/list"
diff "$tmp/want" "$tmp/list" || fail "rows"

test "$(tap-ctl list -m 1)" = "pid=$second minor=1 state=0 args=aio:$odd" || fail "-m"
test "$(tap-ctl list -p "$first" | wc -l)" -eq 1 || fail "-p"
test "$(tap-ctl list -t aio | wc -l)" -eq 2 || fail "-t"
test -z "$(tap-ctl list -t vhd)" || fail "-t of another type"
test "$(tap-ctl list -f "$plain")" = "pid=$first minor=0 state=0 args=aio:$plain" || fail "-f"
expect_exit 0 tap-ctl list -p 999999
test ! -s "$tmp/out" || fail "rows of a tapdisk that does not exist"

# The hotplug script's call splits at blanks and commas.
escaped=$(printf '%s' "$odd" | sed 's/ /\\040/g; s/,/\\054/g')
test "$(tap-ctl list -t aio -f "$odd")" = "pid=$second minor=1 state=0 args=aio:$escaped" ||
    fail "-t with -f: $(tap-ctl list -t aio -f "$odd")"

# On a terminal: columns.
"$PYTHON" -c 'import pty; pty.spawn(["tap-ctl", "list", "-m", "0"])' </dev/null | tr -d '\r' >"$tmp/list"
printf '%8s %4s %4s %10s %s\n' "$first" 0 0 aio "$plain" | diff - "$tmp/list" || fail "columns"

tap-ctl list --json | "$PYTHON" -c '
import json, sys
rows = json.load(sys.stdin)
disk = [row for row in rows if row["minor"] == 0][0]
assert disk["type"] == "aio" and disk["sectors"] == 2048 and disk["chain"], disk
assert rows[-1] == {"pid": None, "minor": 2, "state": None, "states": [], "type": None,
                    "path": None}, rows[-1]
' || fail "--json"

# One that hangs: a bare row and a warning, and the others complete.
kill -STOP "$first"
at_exit kill -CONT "$first"
expect_exit 0 tap-ctl --timeout 5 list
kill -CONT "$first"
rows "pid=$first" "pid=$second minor=1 state=0 args=aio:$odd" >"$tmp/want"
printf 'minor=%s\n' 0 2 >>"$tmp/want"
diff "$tmp/want" "$tmp/out" || fail "rows beside a tapdisk that hangs"
grep -q "$first does not answer" "$tmp/err" || fail "no warning"

# Sockets of the dead, and of impostors.
kill -KILL "$first"
wait_gone "$first"
expect_exit 0 tap-ctl list -p "$first"
test ! -s "$tmp/out" || fail "a row of a dead tapdisk"
for left in "$BLKTAP_CONTROL_DIR"/*"$first"* "/dev/shm/td3-$first"; do
    test ! -e "$left" || fail "$left was not removed"
done
ln "$BLKTAP_CONTROL_DIR/ctl$second" "$BLKTAP_CONTROL_DIR/ctl1"
test "$(tap-ctl list -p 1 | wc -l)" -eq 0 || fail "an impostor is listed"
rm "$BLKTAP_CONTROL_DIR/ctl1"
tap-ctl destroy -p "$first" -m 0
