#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A tapdisk starts with nothing of its caller's; what goes wrong is told by the exit status.
. "${top_srcdir:=.}/tests/functions.sh"

pid=$(tap-ctl spawn)
at_exit kill "$pid"
expr "$pid" : '[0-9][0-9]*$' >/dev/null || fail "spawn printed \"$pid\""
test -S "$BLKTAP_CONTROL_DIR/ctl$pid" || fail "no control socket"
test "$(tap-ctl list)" = "pid=$pid" || fail "a tapdisk without a disk is a bare row"

# On a terminal it is a sentence.
"$PYTHON" -c 'import pty, sys; sys.exit(pty.spawn(["tap-ctl", "spawn"]) >> 8)' >"$tmp/said" </dev/null ||
    fail "spawn on a terminal"
second=$(sed -n 's/^tapdisk spawned with pid \([0-9]*\).*/\1/p' "$tmp/said")
test -n "$second" || fail "on a terminal: $(cat "$tmp/said")"
kill "$second"

# Descriptors of the caller stay behind, so that a lock held by one ends with the caller.
third=$(
    exec 3>"$tmp/lock" 9>"$tmp/nine"
    flock 3
    tap-ctl spawn
)
at_exit kill "$third"
for fd in /proc/"$third"/fd/*; do
    case $(readlink "$fd") in
    "$tmp"/lock | "$tmp"/nine) fail "the tapdisk holds $(readlink "$fd")" ;;
    esac
done
flock -n "$tmp/lock" true || fail "the lock is still held"

# A caller without standard streams; and tapdisk2 itself without them.
fourth=$(tap-ctl spawn <&- 2>&-) || fail "spawn without stdin and stderr"
at_exit kill "$fourth"
path=$(tapdisk2 <&- 2>&-) || fail "tapdisk2 without stdin and stderr"
at_exit kill "${path##*/ctl}"
test -S "$path" || fail "tapdisk2 without stdin and stderr printed \"$path\""

# A tapdisk that does what it is told.
script() {
    printf '#!/bin/sh\n%s\n' "$1" >"$tmp/tapdisk"
    chmod +x "$tmp/tapdisk"
}
TAPDISK=$tmp/missing expect_exit 2 tap-ctl spawn
script 'exit 7'
TAPDISK=$tmp/tapdisk expect_exit 7 tap-ctl spawn
script 'echo nonsense'
TAPDISK=$tmp/tapdisk expect_exit 71 tap-ctl spawn
grep -q nonsense "$tmp/err" || fail "what the tapdisk said is not passed on"
script "echo \$\$ >$tmp/hanging; exec tail -f /dev/null"
TAPDISK=$tmp/tapdisk expect_exit 1 tap-ctl --timeout 1 spawn
wait_gone "$(cat "$tmp/hanging")"
script "echo \$\$ >$tmp/hanging; echo $BLKTAP_CONTROL_DIR/ctl1; exec tail -f /dev/null"
TAPDISK=$tmp/tapdisk expect_exit 1 tap-ctl --timeout 1 spawn
wait_gone "$(cat "$tmp/hanging")"
script "kill -9 \$\$"
TAPDISK=$tmp/tapdisk expect_exit 1 tap-ctl spawn
