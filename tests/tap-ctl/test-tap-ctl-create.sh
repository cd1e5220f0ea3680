#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# create does all or nothing; destroy leaves nothing, whatever was left of the disk.
. "${top_srcdir:=.}/tests/functions.sh"

image=$tmp/disk.img
truncate -s 4M "$image"
refused() {
    status=$1
    shift
    expect_exit "$status" "$@"
    test ! -s "$tmp/out" || fail "$*: something on stdout"
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "$*: $(cat "$tmp/err")"
    nothing_left
}
refused 2 tap-ctl create -a aio:/nowhere
refused 2 tap-ctl create -a nosuch:/x
refused 22 tap-ctl create -a nocolon
refused 22 tap-ctl create -a aio:
refused 22 tap-ctl create -a "aio:$tmp"
refused 36 tap-ctl create -a "toolongtype:$image"
refused 38 tap-ctl create -a "vhdsync:$image"
TAPDISK=$tmp/missing refused 2 tap-ctl create -a "aio:$image"
head -c 31 /dev/zero >"$tmp/key"
expect_exit 1 tap-ctl create -E -a "aio:$image" <"$tmp/key"
nothing_left

devname=$(tap-ctl create -a "aio:$image")
test "$devname" = "$BLKTAP_CONTROL_DIR/tapdisk/tapdisk-0" || fail "printed $devname"
pid=$(tap-ctl list | sed 's/pid=\([0-9]*\) .*/\1/')
expect_exit 11 tap-ctl free -m 0
tap-ctl destroy -p "$pid" -m 0
wait_gone "$pid"
nothing_left

# The tapdisk was killed before.
start_disk "aio:$image"
kill -KILL "$pid"
wait_gone "$pid"
expect_exit 0 tap-ctl destroy -p "$pid" -m "$minor"
nothing_left

# The disk was closed before, by force.
start_disk "aio:$image"
tap-ctl close -p "$pid" -m "$minor" -f
expect_exit 0 tap-ctl destroy -p "$pid" -m "$minor"
wait_gone "$pid"
nothing_left

# A signal in the middle undoes what was begun: the tapdisk is never heard of.
cat >"$tmp/slow" <<EOF
#!/bin/sh
echo \$\$ >$tmp/launcher
exec tail -f /dev/null
EOF
chmod +x "$tmp/slow"
for signal in INT TERM HUP; do
    rm -f "$tmp/launcher"
    TAPDISK=$tmp/slow setsid tap-ctl create -a "aio:$image" >"$tmp/out" 2>"$tmp/err" &
    creator=$!
    wait_for test -s "$tmp/launcher"
    # A background job of sh ignores SIGINT; tap-ctl has its own way with it.
    kill -s "$signal" "$creator"
    wait "$creator" && fail "create succeeded"
    wait_gone "$(cat "$tmp/launcher")"
    test ! -s "$tmp/out" || fail "something on stdout"
    nothing_left
done
