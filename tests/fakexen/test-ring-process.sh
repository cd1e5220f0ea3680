#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A tapdisk2 process serves a guest that is another process: reads, writes, large requests, grants
# that stay; a hostile guest is survived, and nothing is left of either.
. "${top_srcdir:=.}/tests/functions.sh"

load=$top_builddir/bench/ring-load
libraries=$top_builddir/tests/fakexen/.libs
test -x "$load" || skip "built without Xen"

FAKEXEN_DIR=$tmp
LD_LIBRARY_PATH=$libraries
export FAKEXEN_DIR LD_LIBRARY_PATH
truncate -s 64M "$tmp/image"
start_disk "aio:$tmp/image"

guest() {
    "$load" --pid "$pid" --minor "$minor" --sectors 131072 --seconds 0.1 "$@" >"$tmp/report" ||
        fail "ring-load $*"
}

whole() {
    guest "$@"
    jq -e '.errors == 0 and .requests > 0' "$tmp/report" >/dev/null ||
        fail "ring-load $*: $(cat "$tmp/report")"
}

whole
whole --write
whole --persistent --order 4 --depth 512
whole --block-size 1048576 --depth 8 --sequential
whole --block-size 1048576 --depth 8 --write
guest --hostile
whole
tap-ctl stats -p "$pid" -m "$minor" >"$tmp/stats"
jq -e '.rings == [] and .reqs_outstanding == 0' "$tmp/stats" >/dev/null ||
    fail "stats: $(cat "$tmp/stats")"

# A guest that was killed: its ring is still there, and monitors read what it has done.
domid=$((1000 + $$ % 30000))
pages=/dev/shm/vbd3-$domid-51712
guest_pid=
start_guest() {
    "$load" --pid "$pid" --minor "$minor" --sectors 131072 --seconds 600 --domid "$domid" &
    guest_pid=$!
    wait_for has_read
}
has_read() {
    test -e "$pages/statistics" && test "$(od -An -t u8 -j 32 -N 8 "$pages/statistics")" -gt 0
}
kill_guest() {
    test -n "$guest_pid" || return 0
    kill -KILL "$guest_pid"
    wait "$guest_pid" 2>/dev/null || :
    guest_pid=
}
at_exit kill_guest
is_idle() {
    tap-ctl stats -p "$pid" -m "$minor" |
        jq -e '.reqs_outstanding == 0 and .xenbus.reqs[0] == .xenbus.reqs[1]' >/dev/null
}
start_guest
kill_guest
wait_for is_idle
"$PYTHON" - "$pid" "$domid" <<'EOF'
import struct, sys, zlib
def numbers(path, form):
    with open('/dev/shm/' + path, 'rb') as page:
        return struct.unpack(form, page.read(struct.calcsize(form)))
pid, domid = sys.argv[1:]
_, _, waits, *reads_writes, zero = numbers('vbd3-%s-51712/statistics' % domid, '14Q')
version, _, busy, *short, errors, flags = numbers('td3-%s/vbd-%s-51712' % (pid, domid), '2I11Q')
assert (version, waits, busy, errors, flags, zero) == (1, 0, 0, 0, 0, 0)
assert short == reads_writes[0:4] + reads_writes[5:9], (short, reads_writes)
begun, completed, sectors, usecs = short[:4]
assert begun == completed > 0 and sectors == 8 * begun, short
assert usecs >= reads_writes[4], reads_writes
assert short[4:] == [0, 0, 0, 0], short
with open('/dev/shm/vbd3-%s-51712/io_ring' % domid, 'rb') as told:
    raw = told.read()
assert struct.unpack('=L', raw[:4])[0] == zlib.crc32(raw[8:]) and raw[4:8] == bytes(4), raw
assert raw[8:].startswith(b'nr_ents 32\nreq prod '), raw
EOF
stop_disk
test ! -e "$pages" || fail "statistics of the ring are left"

# Those of a tapdisk that was killed are removed ...
kill_tapdisk() {
    kill -KILL "$pid"
    wait_gone "$pid"
}
start_disk "aio:$tmp/image"
start_guest
kill_guest
kill_tapdisk
tap-ctl clean >/dev/null
test ! -e "/dev/shm/td3-$pid" || fail "statistics of a dead tapdisk are left"
test ! -e "$pages" || fail "statistics of a dead tapdisk's ring are left"

# ... but not if they are another's by now.
dead=$pid
start_disk "aio:$tmp/image"
start_guest
mkdir -m 700 "/dev/shm/td3-$dead"
: >"/dev/shm/td3-$dead/vbd-$domid-51712"
tap-ctl clean >/dev/null
test ! -e "/dev/shm/td3-$dead" || fail "statistics of a dead tapdisk are left"
test -e "$pages/io_ring" || fail "statistics of a tapdisk that lives were removed"
kill_guest
stop_disk
