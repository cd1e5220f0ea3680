#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Statistics are one line of JSON with the keys that others look for, in their order, then an empty line.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

image="$tmp/a\"b\\c é.img"
truncate -s 4M "$image"
start_disk "aio:$image" 2>/dev/null
qemu-io -f raw "$uri" -c 'write 0 64k' -c 'read 0 128k' >/dev/null
tap-ctl stats -p "$pid" -m "$minor" >"$tmp/stats"
test "$(wc -l <"$tmp/stats")" -eq 2 || fail "not a line and an empty one"
test -z "$(sed -n 2p "$tmp/stats")" || fail "the second line is not empty"
grep -q '^{ "name": "aio:.*, "secs": \[ [0-9]*, 128 \], "images": \[ { "name": ' "$tmp/stats" ||
    fail "form: $(cat "$tmp/stats")"
"$PYTHON" - "$tmp/stats" "$image" <<'EOF'
import json, sys
stats = json.loads(open(sys.argv[1]).readline())
keys = list(stats)
want = ['name', 'secs', 'images', 'FIXME_enospc_redirect_count', 'nbd_mirror_failed',
        'reqs_outstanding', 'read_caching']
assert keys[:len(want)] == want, keys
assert stats['name'] == 'aio:' + sys.argv[2], stats['name']
image = stats['images'][0]
assert list(image) == ['name', 'hits', 'fail', 'driver'], image
assert image['hits'][1] == 128 and image['hits'][0] >= 256, image
assert image['driver']['type'] == 0 and image['driver']['name'] == 'aio', image
assert image['driver']['status']['reqs'] == {'max': 352, 'pending': 0}, image
assert stats['reqs_outstanding'] == 0, stats
EOF
tap-ctl stats -p "$pid" -a | grep -q '^\[ { "name"' || fail "-a"
expect_exit 19 tap-ctl stats -p "$pid" -m 4711
expect_exit 22 tap-ctl stats -p "$pid"

# The pages for monitors that must not ask: of the disk, and of those through whom it is asked.
old="nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd-old$pid.$minor"
qemu-io -f raw "$old" -c 'write 0 8k' >/dev/null
"$PYTHON" - "$pid" "$minor" <<'EOF'
import struct, sys
def page(name):
    with open(f'/dev/shm/td3-{sys.argv[1]}/{name}-{sys.argv[2]}', 'rb') as page:
        raw = page.read()
    assert len(raw) == 4096, len(raw)
    fields = struct.unpack('<II11Q', raw[:96])
    version, _, _, reads, reads_done, read, _, writes, writes_done, written = fields[:10]
    assert version == 1 and reads == reads_done and writes == writes_done, fields
    return read, written
new, old, disk = page('nbd'), page('nbd-old'), page('vdi')
assert new[0] >= 256 and new[1] == 128, new
assert old[1] == 16, old
assert disk == (new[0] + old[0], 128 + 16), disk
EOF
stop_disk
test ! -e "/dev/shm/td3-$pid" || fail "the page is still there"
