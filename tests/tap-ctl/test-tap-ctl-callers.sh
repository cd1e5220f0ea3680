#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Programs that parse what tap-ctl prints, each in its own way, get what they expect.
. "${top_srcdir:=.}/tests/functions.sh"

image="$tmp/with blank.img"
truncate -s 4M "$image"
start_disk "aio:$image" 2>/dev/null
tap-ctl pause -p "$pid" -m "$minor"
tap-ctl list >"$tmp/list"
"$PYTHON" - "$tmp/list" "$pid" "$image" "$BLKTAP_CONTROL_DIR" <<'EOF'
import re, sys
line = open(sys.argv[1]).readline().rstrip('\n')
pid, image, control = sys.argv[2:]

# A storage manager: at most four words, each of two parts.
words = line.split(None, 3)
row = dict(word.split('=') for word in words)
assert list(row) == ['pid', 'minor', 'state', 'args'], row
assert int(row['state'], 16) == 0x2a, row
assert row['args'] == 'aio:' + image, row

# A toolstack: order and text.
assert re.fullmatch(r'pid=%s minor=\d+ state=0x2a args=(\w+):(.*)' % pid, line), line
EOF
devname=$(tap-ctl allocate)
expr "$devname" : "$BLKTAP_CONTROL_DIR/tapdisk/tapdisk-[0-9][0-9]*$" >/dev/null || fail "$devname"
tap-ctl free -m "${devname##*-}"

# The hotplug script, step by step, as the shell of a script sees it.
truncate -s 4M "$tmp/plain.img"
marker=$(tap-ctl allocate)
number=${marker##*tapdisk-}
tapdisk=$(tap-ctl spawn)
at_exit kill "$tapdisk"
tap-ctl attach -p "$tapdisk" -m "$number"
tap-ctl open -p "$tapdisk" -m "$number" -a "aio:$tmp/plain.img"
row=$(tap-ctl list -t aio -f "$tmp/plain.img")
for word in $row; do
    case $word in
    pid=*) test "${word#*=}" = "$tapdisk" || fail "pid in: $row" ;;
    minor=*) test "${word#*=}" = "$number" || fail "minor in: $row" ;;
    esac
done
test -S "$BLKTAP_CONTROL_DIR/nbd$tapdisk.$number" || fail "no NBD socket"
tap-ctl destroy -p "$tapdisk" -m "$number"
test -z "$(tap-ctl list -t aio -f "$tmp/plain.img")" || fail "still listed"
