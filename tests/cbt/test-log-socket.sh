#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The log of dirty sectors in memory, over its socket; the cases are in test_log_socket.py.
. "${top_srcdir:=.}/tests/functions.sh"

test "$(id -u)" -eq 0 || skip "/var/run/tap is for root"
requires qemu-io --version

# The folder of the sockets is the system's: the name must be this test's alone.
name=$tmp/disk:log
X=$(printf '%s' "/${name##*/}" | tr /: __)
start_disk "log:$name|null:320M"
LOG_URI=$uri LOG_NAME=$name LOG_SECTORS=655360
export LOG_URI LOG_NAME LOG_SECTORS
test "$(stat -c %a /var/run/tap)" -eq 700 || fail "the mode of /var/run/tap"

# A name is used once.
expect_exit 98 tap-ctl create -a "log:$name|null:320M"

cd "$tmp"
"${PYTHON:-python3}" -B "$top_srcdir/tests/cbt/test_log_socket.py" || fail "see above"

# A disk that ends takes both with it; what a killed one left is no obstacle.
stop_disk
test ! -e "/var/run/tap/log_$X.ctl" || fail "the socket is left"
ls /dev/shm/log_*"${tmp##*/}"* >/dev/null 2>&1 && fail "the memory is left"
start_disk "log:$name|null:320M"
kill -KILL "$pid"
wait_gone "$pid"
test -e "/var/run/tap/log_$X.ctl" || fail "a killed tapdisk has removed its socket"
start_disk "log:$name|null:320M"
tapdisk-client "/var/run/tap/log_$X.ctl" || fail "after a killed one"
stop_disk

# Names that are too long: one for a socket, one for the memory.
long=$(printf '%0200d' 0)
expect_exit 36 tap-ctl create -a "log:/$long|null:320M"
expect_exit 36 tap-ctl create -a "log:/$long/$long/x|null:320M"
