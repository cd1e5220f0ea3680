#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A tapdisk2 that is killed in the middle of writes leaves an image that has what was flushed.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

image=$tmp/a.vhd
vhd-make dynamic "$image" 8388608
# holds OPTION...: everything that was flushed in rounds 1 to $round, and nothing beside it.
holds() {
    n=1
    while test $n -le $round; do
        qemu-io "$@" -c "read -P $n ${n}01M 4M" -c "read -P 0 ${n}05M 1M" >"$tmp/io" || fail "$(cat "$tmp/io")"
        grep -q 'verification failed' "$tmp/io" && fail "killed in round $round: $(cat "$tmp/io")"
        n=$((n + 1))
    done
}

round=1
while test $round -le 3; do
    start_disk "vhd:$image"
    qemu-io -f raw "$uri" -c "write -P $round ${round}01M 4M" -c flush >"$tmp/io" || fail "$(cat "$tmp/io")"
    awk -v seed=$round 'BEGIN {
        srand(seed)
        for (i = 0; i < 100000; i++) printf "aio_write -P 255 %.0f 4096\n", (seed + int(rand() * 131072) / 262144) * 1073741824 - 1073741824 + 536870912
    }' >"$tmp/commands"
    qemu-io -f raw "$uri" <"$tmp/commands" >"$tmp/load" 2>&1 &
    load=$!
    writes() {
        tap-ctl stats -p "$pid" -m "$minor" | grep -q '"allocations": [0-9][0-9][0-9]'
    }
    wait_for writes
    kill -KILL "$pid"
    wait "$load" || :
    wait_gone "$pid"
    start_disk "vhd:$image"
    holds -f raw "$uri"
    stop_disk
    holds -r -f vpc "$image"
    round=$((round + 1))
done
