#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is new since the classic tools: info, nbd-uri, wait, monitor, resize, set, clean, and time-outs.
. "${top_srcdir:=.}/tests/functions.sh"

image=$tmp/disk.img
truncate -s 4M "$image"
start_disk "aio:$image"
# shellcheck disable=SC2086
{
    disk="-p $pid -m $minor"
    test "$(tap-ctl nbd-uri $disk)" = "$uri" || fail "nbd-uri"
    tap-ctl info $disk | grep -q '^sectors  *8192$' || fail "info"

    # Once it has seen something it sees all that follows.
    tap-ctl monitor -p "$pid" >"$tmp/events" &
    monitor=$!
    at_exit kill "$monitor"
    listens() {
        tap-ctl resize $disk --refresh && test -s "$tmp/events"
    }
    wait_for listens
    expect_exit 110 tap-ctl wait $disk --state paused -t 1
    tap-ctl wait $disk --state paused &
    waiter=$!
    # Whether the pause or the subscription comes first: it is seen.
    tap-ctl pause $disk
    wait "$waiter" || fail "wait for the pause"
    tap-ctl unpause $disk
    tap-ctl wait $disk --state running
    expect_exit 22 tap-ctl wait $disk --state nonsense
    expect_exit 22 tap-ctl resize $disk

    truncate -s 8M "$image"
    tap-ctl resize $disk --refresh
    tap-ctl info $disk | grep -q '^sectors  *16384$' || fail "the new size is not seen"
    tap-ctl resize $disk -s 32768
    test "$(stat -c %s "$image")" -eq 16777216 || fail "the file did not grow"
    expect_exit 22 tap-ctl resize $disk -s 8

    tap-ctl set $disk timeout=5
    expect_exit 22 tap-ctl set $disk timeout=0
    expect_exit 22 tap-ctl set $disk
    expect_exit 95 tap-ctl mirror $disk -2 "aio:$image"
    expect_exit 95 tap-ctl commit $disk -a "$image"
    test "$(tap-ctl query $disk)" = "Commit status 'undefined' (0/0)" || fail "query without a job"
    last_event() {
        tap-ctl resize $disk --refresh && tail -n 1 "$tmp/events" | grep -q resized
    }
    wait_for last_event
    grep -q '"event": "state", "state": 42 }' "$tmp/events" || fail "$(cat "$tmp/events")"

    # Whoever reads the events has gone.
    tap-ctl monitor -p "$pid" >/dev/full 2>"$tmp/err" &
    deaf=$!
    ends() {
        tap-ctl resize $disk --refresh && gone "$deaf"
    }
    wait_for ends
    wait "$deaf" && fail "monitor without a reader ended well"
    grep -q 'No space left' "$tmp/err" || fail "monitor without a reader: $(cat "$tmp/err")"
    tap-ctl list >/dev/full 2>"$tmp/err" && fail "list without a reader ended well"

    # A call that is given up in time: the tapdisk is stopped.
    kill -STOP "$pid"
    expect_exit 110 tap-ctl --timeout 1 info $disk
    expect_exit 110 tap-ctl pause $disk -t 1
    kill -CONT "$pid"
    tap-ctl wait $disk --state running
}

# A command's trace goes to stderr only.
tap-ctl list --debug >/dev/null
tap-ctl stats -p "$pid" -m "$minor" --debug 2>"$tmp/trace" >/dev/null
printf '%s\n' "sending 'stats' message (uuid = $minor)" "received 'stats response' message (uuid = $minor)" |
    diff - "$tmp/trace" || fail "trace"

kill -KILL "$pid"
wait_gone "$pid"
tap-ctl clean -n >"$tmp/would"
grep -qx "$BLKTAP_CONTROL_DIR/ctl$pid" "$tmp/would" || fail "clean -n: $(cat "$tmp/would")"
test -S "$BLKTAP_CONTROL_DIR/ctl$pid" || fail "clean -n removes"
tap-ctl clean -m "$minor" >/dev/null
nothing_left

# One that is dead counts as gone, whether or not its parent has asked how it ended.
"$PYTHON" - "$BLKTAP_CONTROL_DIR" "$image" <<'END' || fail "clean of a zombie"
import os, subprocess, sys

directory, image = sys.argv[1:]
disk = subprocess.Popen(['tapdisk2', '-D', '-n', 'aio:' + image], stdout=subprocess.PIPE)
disk.stdout.readline()
socket = '%s/ctl%d' % (directory, disk.pid)
assert os.path.exists(socket), os.listdir(directory)
disk.kill()
os.waitid(os.P_PID, disk.pid, os.WEXITED | os.WNOWAIT)
subprocess.run(['tap-ctl', 'clean', '-m', '0'], check=True)
assert not os.path.exists(socket), 'a dead tapdisk counts as alive'
disk.wait()
END
nothing_left

# Its socket may be open for longer than it lives: here because another has hold of it.
"$PYTHON" - "$BLKTAP_CONTROL_DIR" <<'END' || fail "a dead tapdisk whose socket is open"
import os, socket, subprocess, sys

directory, = sys.argv[1:]


def tap_ctl(*words):
    done = subprocess.run(['tap-ctl', *words], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b''), done


def dead_tapdisk():
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        door = socket.socket(socket.AF_UNIX)
        door.bind('%s/ctl%d' % (directory, os.getpid()))
        door.listen()
        socket.send_fds(theirs, [b'.'], [door.fileno()])
        os._exit(0)
    _, held, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(pid, 0)
    return pid, held


pid, held = dead_tapdisk()
tap_ctl('--timeout', '1', 'list')
assert not os.path.exists('%s/ctl%d' % (directory, pid)), 'list leaves the socket'
pid, held = dead_tapdisk()
subprocess.run(['tap-ctl', 'allocate'], check=True, stdout=subprocess.DEVNULL)
tap_ctl('--timeout', '1', 'destroy', '-p', str(pid), '-m', '0')
assert not os.path.exists('%s/ctl%d' % (directory, pid)), 'destroy leaves the socket'
END
nothing_left
