#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# snapshot goes on with the child, or with the image as it was; and it removes no child that may be in use.
. "${top_srcdir:=.}/tests/functions.sh"

cd "$tmp"
vhd-util create -n parent.vhd -s 4
truncate -s 1M small
start_disk "vhd:$tmp/parent.vhd"

snapshot() {
    tap-ctl --timeout 3 snapshot -p "$pid" -m "$minor" "$@"
}

is_served() {
    test "$(tap-ctl list -p "$pid" -m "$minor")" = "pid=$pid minor=$minor state=0 args=vhd:$tmp/$1"
}

expect_served() {
    is_served "$1" || fail "$2: $(tap-ctl list)"
}

snapshot -n child.vhd
expect_served child.vhd "a name that is taken from where the caller stands"
test "$(vhd-util query -n child.vhd -p)" = "$tmp/parent.vhd" || fail "the child has another parent"

snapshot -n missing/second.vhd 2>err && fail "a child without a folder"
expect_served child.vhd "no child"
expect_exit 124 snapshot -n second.vhd -a "aio:$tmp/small"
expect_served child.vhd "a disk of another size"
test ! -e second.vhd || fail "a child that nobody uses is left behind"

# A tapdisk that is slow to answer may go on with the child all the same.
mkdir bin
vhd_util=$(command -v vhd-util)
cat >bin/vhd-util <<END
#!/bin/sh
"$vhd_util" "\$@" && kill -STOP $pid
END
chmod +x bin/vhd-util
PATH=$tmp/bin:$PATH expect_exit 110 snapshot -n third.vhd
grep -q 'may still be paused, or serve third.vhd' err || fail "it is not told: $(cat err)"
kill -CONT "$pid"
wait_for is_served third.vhd
test -e third.vhd || fail "the image that is served was removed"

# A signal while the child is being made: it is undone.
mkfifo gate
cat >bin/vhd-util <<END
#!/bin/sh
"$vhd_util" "\$@"
touch made
read -r line <gate
END
PATH=$tmp/bin:$PATH setsid tap-ctl snapshot -p "$pid" -m "$minor" -n fourth.vhd 2>err &
caller=$!
wait_for test -e made
kill -TERM "$caller"
echo go >gate
wait "$caller" && fail "a signal was not heard"
expect_served third.vhd "interrupted"
test ! -e fourth.vhd || fail "the child of an interrupted snapshot is left behind"
