#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk goes on on a new leaf while its guest writes, and goes back to the merged image; no request fails.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

vhd-make dynamic "$tmp/0.vhd" 131072
start_disk "vhd:$tmp/0.vhd"
qemu-io -f raw "$uri" -c 'write -P 77 0 1M' -c 'write -P 78 60M 64k' -c flush >"$tmp/io"

nbd-load --op write --depth 16 --requests 150000 --flush-every 1000 "$(socket_of "$uri")" >"$tmp/load" 2>&1 &
load=$!
end_load() { kill "$load" 2>/dev/null || :; }
at_exit end_load
for n in 1 2 3 4 5; do
    tap-ctl pause -p "$pid" -m "$minor"
    vhd-make child "$tmp/$n.vhd" "./$((n - 1)).vhd"
    tap-ctl unpause -p "$pid" -m "$minor" -a "vhd:$tmp/$n.vhd"
done
kill -0 "$load" 2>/dev/null || echo "the load ended before the last snapshot" >&2
wait "$load" || fail "a request failed: $(cat "$tmp/load")"
tap-ctl stats -p "$pid" -m "$minor" | grep -q '"errors": 0,' || fail "errors: $(tap-ctl stats -p "$pid" -m "$minor")"

# The chain is read through all its layers, and what was written last stands on top.
qemu-io -f raw "$uri" -c 'write -P 79 60M 512' -c flush -c 'read -P 79 60M 512' >"$tmp/io" || fail "$(cat "$tmp/io")"
qemu-io -f raw "$uri" -c 'read -P 79 60M 512' >"$tmp/io"
grep -q 'verification failed' "$tmp/io" && fail "$(cat "$tmp/io")"

# Reopened over an image that holds the whole content, as after a coalesce.
tap-ctl pause -p "$pid" -m "$minor"
vhd-make dynamic "$tmp/merged.vhd" 131072
merge=$(tap-ctl create -a "vhd:$tmp/merged.vhd")
merge=${merge##*-}
merge_pid=$(tap-ctl list -m "$merge" | sed -n 's/^pid=\([0-9]*\) .*/\1/p')
old=$pid
old_minor=$minor
start_disk "vhd:$tmp/5.vhd" -R
qemu-img convert -n -f raw -O raw "$uri" "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$merge_pid.$merge"
tap-ctl destroy -p "$merge_pid" -m "$merge"
wait_gone "$merge_pid"
tap-ctl unpause -p "$old" -m "$old_minor" -a "vhd:$tmp/merged.vhd"
qemu-img compare -q -f raw -F raw "$uri" "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$old.$old_minor" ||
    fail "the merged image differs"
stop_disk
