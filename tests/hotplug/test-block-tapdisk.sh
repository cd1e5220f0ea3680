#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk for tapback: a tapdisk is started, found again by a second device, and stopped with the last.
. "${top_srcdir:=.}/tests/hotplug/rig.sh"

image="$tmp/a b,pid=1 minor=2:c.img"
truncate -s 1M "$image"

device vbd3 1 51712 "aio:$image" w
add_device
path=$(key "$XENBUS_PATH/physical-device-path")
test "$path" = "$BLKTAP_CONTROL_DIR/nbd$pid.$minor" || fail "physical-device-path: $path"
test -S "$path" || fail "nothing listens at $path"
test -z "$(key "$XENBUS_PATH/physical-device")" || fail "there is no device to have numbers"
tap-ctl list -p "$pid" | grep -qF "args=aio:$image" || fail "another image is served"

# Nothing of the script is open in the tapdisk, the lock least of all.
for fd in /proc/"$pid"/fd/*; do
    case $(readlink "$fd" || :) in
    "$BLKTAP_HOTPLUG_LOCKS"* | "$tmp/script.out") fail "the tapdisk holds $(readlink "$fd")" ;;
    esac
done

# The same domain once more, as a machine that migrates within the host has it.
first=$pid.$minor
xenstore-write /local/domain/2/vm "$(key /local/domain/1/vm)"
device vbd3 2 51712 "aio:$image" w
add_device
test "$pid.$minor" = "$first" || fail "a second tapdisk for the same image: $pid.$minor, $first"
remove_device
! gone "$pid" || fail "the tapdisk has left its other device alone"
XENBUS_PATH=backend/vbd3/1/51712
remove_device
wait_gone "$pid"
nothing_left

# Toolstacks write targets in many ways; all of these are one image.
for target in "raw:$image" "tap:aio:$image" "tap2:tapdisk:aio:$image" "aio:aio:$image"; do
    device vbd3 1 51712 "$target" w
    add_device
    tap-ctl list -p "$pid" | grep -qF "args=aio:$image" || fail "$target: another image is served"
    remove_device
    wait_gone "$pid"
done

# Names as people and programs make them are taken as they are.
mkdir "$tmp/-odd"
# shellcheck disable=SC2016 # nothing here is for the shell
odd="$tmp/-odd/"'straße \101\n "'"'"' * [a-z]? $(exit 1)`exit 1`$HOME #%;&<>{}~!^ '
truncate -s 1M "$odd"
device vbd3 1 51712 "aio:$odd" w
add_device
tap-ctl list -p "$pid" | grep -qF "args=aio:$odd" || fail "odd name: another image is served"
first=$pid
device vbd3 1 51728 "aio:$odd" w
add_device
test "$pid" = "$first" || fail "an odd name is not found again"
remove_device
XENBUS_PATH=backend/vbd3/1/51712
remove_device
wait_gone "$first"
rm "$odd"
device vbd3 1 51712 "aio:$odd" w
refuse_device error "aio:$odd: cannot open: No such file or directory"
nothing_left

# A chain of images, whose path has blanks.
vhd-util create -n "$tmp/the base.vhd" -s 4
vhd-util snapshot -n "$tmp/the leaf.vhd" -p "$tmp/the base.vhd"
device vbd3 1 51712 "vhd:$tmp/the leaf.vhd" w
add_device
tap-ctl list -p "$pid" | grep -qF "args=vhd:$tmp/the leaf.vhd" || fail "the chain is not served"
remove_device
wait_gone "$pid"
nothing_left

# The kind of a backend that only wants to be told, by the script's other name.
device tap 1 51712 "tap:tapdisk:aio:$image" w
"$top_srcdir/tools/hotplug/Linux/blktap" add || fail "blktap add"
test "$(key "$XENBUS_PATH/hotplug-status")" = connected || fail "blktap: not connected"
ACTION=remove "$top_srcdir/tools/hotplug/Linux/blktap" || fail "blktap remove"
rm -r "$XENSTORE/local/domain/0/$XENBUS_PATH"
nothing_left

# What cannot be opened is told in words, and leaves nothing.
device vbd3 1 51712 "aio:$tmp/missing" w
refuse_device error "No such file or directory"
nothing_left
remove_device
device vbd3 1 51712 "nosuchtype:/x" w
refuse_device error "nosuchtype"
nothing_left
device vbd3 1 51712 "" w
refuse_device error "no target"
device vbd3 1 51712 "/x" w
refuse_device error "TYPE:PATH"
device vbd3 1 51712 "-x" w
refuse_device error "-x: a target is TYPE:PATH"
device vbd3 1 51712 "aio:/a
aio:/b" w
refuse_device error "one line"

# A lock that cannot be had is told, too.
mkdir "$BLKTAP_HOTPLUG_LOCKS/block"
device vbd3 1 51712 "aio:$image" w
! script add || fail "added without a lock"
test "$(key "$XENBUS_PATH/hotplug-error")" = "cannot open $BLKTAP_HOTPLUG_LOCKS/block" ||
    fail "without a lock: $(key "$XENBUS_PATH/hotplug-error")"
rmdir "$BLKTAP_HOTPLUG_LOCKS/block"
nothing_left

# What the toolstack cannot be told of is taken back.
UNWRITABLE=hotplug-status
export UNWRITABLE
! script add || fail "added, and the toolstack does not know"
unset UNWRITABLE
nothing_left
no_lock_left
script remove || fail "remove after an add that was undone: $(cat "$tmp/script.out")"
script remove || fail "remove once more: $(cat "$tmp/script.out")"

# So it is when the script is told to end while the tapdisk starts.
cat >"$tmp/bin/tap-ctl" <<'FAKE'
#!/bin/sh
PATH=${PATH#*:}
test "$1" = create || exec tap-ctl "$@"
tap-ctl "$@"
process=$PPID
while test "$(cat "/proc/$process/comm")" = block-tapdisk; do
    script=$process
    process=$(awk '{ print $4 }' "/proc/$process/stat")
done
kill -TERM "$script"
FAKE
chmod +x "$tmp/bin/tap-ctl"
! script add || fail "a script that was told to end has added a device"
rm "$tmp/bin/tap-ctl"
nothing_left
no_lock_left

# A tapdisk that was killed is no obstacle to the removal, nor to the next device.
device vbd3 1 51712 "aio:$image" w
add_device
kill -KILL "$pid"
wait_gone "$pid"
remove_device
nothing_left
device vbd3 1 51712 "aio:$image" w
add_device
remove_device
wait_gone "$pid"
nothing_left
