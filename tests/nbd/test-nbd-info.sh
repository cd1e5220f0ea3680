#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nbdinfo shows the export under any name, with its size, its abilities and its holes.
. "${top_srcdir:=.}/tests/functions.sh"
requires nbdinfo --version

truncate -s 64M "$tmp/img"
dd if=/dev/urandom of="$tmp/img" bs=1M seek=16 count=2 conv=notrunc 2>/dev/null
start_disk "aio:$tmp/img"

nbdinfo --list "$uri" > "$tmp/list"
grep -q 'export="tapdisk_client"' "$tmp/list" || fail "list: $(cat "$tmp/list")"

sock=$(socket_of "$uri")
for name in '' any 'a%20name/with%3Aall'; do
    nbdinfo --json "nbd+unix:///$name?socket=$sock" > "$tmp/json"
    for want in '"export-size": 67108864' '"is_read_only": false' '"can_multi_conn": true' \
        '"can_df": true' '"can_fast_zero": true' '"can_fua": true' '"can_trim": true' \
        '"block_size_minimum": 1' '"block_size_preferred": 4096' \
        '"block_size_maximum": 33554432' '"base:allocation"'; do
        grep -q "$want" "$tmp/json" || fail "'$name': no $want in $(cat "$tmp/json")"
    done
done

nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }' > "$tmp/map"
printf '%s\n' '0 16777216 3' '16777216 2097152 0' '18874368 48234496 3' > "$tmp/expected"
diff "$tmp/expected" "$tmp/map" || fail "the map is another"

stop_disk "$pid" "$minor"
start_disk "aio:$tmp/img" -R
nbdinfo --json "$uri" > "$tmp/json"
grep -q '"is_read_only": true' "$tmp/json" || fail "not read-only: $(cat "$tmp/json")"
stop_disk "$pid" "$minor"
nothing_left
