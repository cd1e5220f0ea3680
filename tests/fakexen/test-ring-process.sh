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
stop_disk
