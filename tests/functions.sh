# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What shell tests share.  A test begins with
#
#     . "${top_srcdir:=.}/tests/functions.sh"
#
# and from there on has `set -eu`, a place of its own in $tmp, tap-ctl and tapdisk2 of the build in
# PATH, and a control directory that no other test sees.  Tests run in parallel, from any build
# folder, and by hand from the top of the tree.  They end with 0 (passed), 1 (failed: say why with
# `fail`) or 77 (skipped: `requires` and `skip` say what is missing).
#
# variables
#     top_srcdir, top_builddir   absolute paths
#     tmp                        a folder for this test, removed at its end; its path is short
#     BLKTAP_CONTROL_DIR         $tmp/run, made by whoever needs it first
#     TAPDISK                    the tapdisk2 that tap-ctl spawns
#
# functions
#     requires COMMAND...        skip the test unless COMMAND succeeds ("requires qemu-io --version")
#     skip WHY                   end as skipped
#     fail WHY                   end as failed
#     at_exit COMMAND...         run COMMAND when the test ends, however it ends; last one first
#     expect_exit N COMMAND...   COMMAND must exit with N; $tmp/out and $tmp/err have what it said
#     wait_for COMMAND...        wait until COMMAND succeeds; fail after WAIT_SECONDS (60)
#     wait_gone PID              wait until the process has ended
#     gone PID                   has it ended?
#     start_disk TYPE:PATH [OPTION...]
#                                tap-ctl create; sets $pid $minor $uri; destroyed at the end
#     stop_disk                  tap-ctl destroy of $pid $minor, and wait for its process to end
#     socket_of URI              the path in nbd+unix:///?socket=PATH
#     nothing_left               fail if a socket, a marker or a tapdisk of this test remains
#     unprivileged COMMAND...    run COMMAND as nobody when the test is run by root

set -eu

top_srcdir=$(cd "${top_srcdir:-.}" && pwd)
if test -z "${top_builddir:-}"; then
    top_builddir=$top_srcdir
    test -e "$top_builddir/config.status" || top_builddir=$top_srcdir/build
fi
top_builddir=$(cd "$top_builddir" && pwd)
: "${WAIT_SECONDS:=60}"

PATH=$top_builddir/blktap2/control:$top_builddir/blktap2/drivers:$PATH
PATH=$top_builddir/blktap2/cbt:$top_builddir/blktap2/lvm:$top_builddir/blktap2/vhd:$PATH
PATH=$top_builddir/bench:$top_builddir/tests/vhd:$PATH
TAPDISK=$top_builddir/blktap2/drivers/tapdisk2
export PATH TAPDISK
unset TAPDISK2 BLKTAP_DEVICE_MODE

# A socket's path has room for 107 bytes, the control directory for 80: no long folders here.
tmp=${TMPDIR:-/tmp}
test "${#tmp}" -le 40 || tmp=/tmp
tmp=$(mktemp -d "$tmp/blktap.XXXXXX")
BLKTAP_CONTROL_DIR=$tmp/run
export BLKTAP_CONTROL_DIR

at_exit_commands=
told=

# Arguments as one line that the shell reads back as the same arguments.
quoted() {
    for quoted_word; do
        printf "'%s' " "$(printf '%s\n' "$quoted_word" | sed "s/'/'\\\\''/g")"
    done
}

at_exit() {
    at_exit_commands="$(quoted "$@")
$at_exit_commands"
}

# Whatever a test forgot, or was killed before it could stop, and the statistics of those that died.
kill_tapdisks() {
    for ctl in "$BLKTAP_CONTROL_DIR"/ctl*; do
        test -S "$ctl" || continue
        kill -KILL "${ctl##*/ctl}" 2>/dev/null || :
        rm -rf "/dev/shm/td3-${ctl##*/ctl}"
    done
}

at_end() {
    status=$?
    trap - EXIT
    trap '' HUP INT TERM
    set +e
    case $status in
    0 | 77) ;;
    *) test -n "$told" || echo "${0##*/}: FAILED: a command ended with $status" >&2 ;;
    esac
    eval "$at_exit_commands"
    kill_tapdisks
    rm -rf "$tmp"
    exit "$status"
}
trap at_end EXIT
trap 'exit 1' HUP INT TERM

fail() {
    printf '%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    told=yes
    exit 1
}

skip() {
    printf '%s: skipped: %s\n' "${0##*/}" "$*" >&2
    exit 77
}

requires() {
    "$@" >/dev/null 2>&1 </dev/null || skip "this does not work here: $*"
}

expect_exit() {
    expected=$1
    shift
    got=0
    "$@" >"$tmp/out" 2>"$tmp/err" || got=$?
    test "$got" -eq "$expected" ||
        fail "exit $got, not $expected: $*: $(cat "$tmp/err")"
}

# For what the shell has no event for: only the condition ends the wait, and how long the rest between
# two looks takes decides nothing.
wait_for() {
    looks=$((WAIT_SECONDS * 50))
    until "$@"; do
        test $looks -gt 0 || fail "waited $WAIT_SECONDS s in vain for: $*"
        looks=$((looks - 1))
        sleep 0.02
    done
}

# A zombie has ended, even if nobody has asked for its status yet; but its threads may go on.
gone() {
    read -r _ _ gone_state _ 2>/dev/null <"/proc/$1/stat" || return 0
    case $gone_state in
    [ZX]) set -- /proc/"$1"/task/* && test $# -eq 1 ;;
    *) return 1 ;;
    esac
}

# The kernel tells when the last thread of a process has ended.
wait_gone() {
    "${PYTHON:-python3}" -c '
import os, select, sys
try:
    process = os.pidfd_open(int(sys.argv[1]))
except ProcessLookupError:
    sys.exit()
sys.exit(not select.select([process], [], [], int(sys.argv[2]))[0])' "$1" "$WAIT_SECONDS" ||
        fail "waited $WAIT_SECONDS s in vain for the end of process $1"
}

start_disk() {
    disk_params=$1
    shift
    disk_marker=$(tap-ctl create -a "$disk_params" "$@") || fail "tap-ctl create -a $disk_params"
    minor=${disk_marker##*-}
    pid=$(tap-ctl list -m "$minor" | sed -n 's/^pid=\([0-9]*\) .*/\1/p')
    test -n "$pid" || fail "tap-ctl list does not show the disk with minor $minor"
    # shellcheck disable=SC2034 # for the test
    uri="nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$pid.$minor"
    at_exit destroy_if_there "$pid" "$minor"
}

destroy_if_there() {
    gone "$1" || tap-ctl destroy -p "$1" -m "$2" >/dev/null 2>&1
}

stop_disk() {
    tap-ctl destroy -p "$pid" -m "$minor" || fail "tap-ctl destroy -p $pid -m $minor"
    wait_gone "$pid"
}

socket_of() {
    printf '%s\n' "${1#*socket=}"
}

nothing_left() {
    left=$(find "$BLKTAP_CONTROL_DIR" ! -type d 2>/dev/null || :)
    test -z "$left" || fail "left behind: $left"
}

unprivileged() {
    if test "$(id -u)" -eq 0; then
        setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- "$@"
    else
        "$@"
    fi
}
