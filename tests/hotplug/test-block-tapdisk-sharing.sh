#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who may share a disk: readers with readers, and anybody with the same machine.
. "${top_srcdir:=.}/tests/hotplug/rig.sh"

image=$tmp/image
truncate -s 1M "$image"

# A writer is alone.
device vbd3 1 51712 "aio:$image" w
add_device
writer=$pid
device vbd3 2 51712 "aio:$image" w
refuse_device busy "domain 1 uses it already (backend/vbd3/1/51712)"
device vbd3 2 51712 "aio:$image" r
refuse_device busy "domain 1 uses it already"
# ... also when the other way to the image is another kind of backend, or another type.
device vbd 2 51712 "sync:$image" w
refuse_device busy "domain 1 uses it already"
remove_device # what failed has nothing to remove
! gone "$writer" || fail "removing a refused device stopped the other's tapdisk"

# The stub domain of a machine, whichever of the two comes first.
xenstore-write /local/domain/3/target 1
device vbd3 3 51712 "aio:$image" w
add_device
test "$pid" = "$writer" || fail "the stub domain has a tapdisk of its own"
remove_device
xenstore-write /local/domain/1/target 4
device vbd3 4 51712 "aio:$image" w
add_device
remove_device

# Who insists takes care himself.
device vbd3 5 51712 "aio:$image" 'w!'
add_device
remove_device

# By another name of the file, by another type of image, or while its tapdisk does not answer: no
# second tapdisk comes beside one that writes, not for its own machine and not by force.
ln -s image "$tmp/link"
ln "$image" "$tmp/hard"
kill -STOP "$writer"
for target in "aio:$tmp/link" "aio:$tmp/hard" "sync:$image" "aio:$image"; do
    device vbd3 1 51744 "$target" 'w!'
    refuse_device error "another disk has it open"
done
kill -CONT "$writer"
rm -r "$tmp/link" "$tmp/hard" "$XENSTORE/local/domain/0/backend/vbd3/1/51744"

# Many devices of one domain on one image.
device vbd3 1 51728 "aio:$image" r
add_device
test "$pid" = "$writer" || fail "a second device of the domain has another tapdisk"
remove_device
XENBUS_PATH=backend/vbd3/1/51712
remove_device
wait_gone "$writer"
nothing_left

# Readers share, and a writer has to wait.
chmod a-w "$image"
for domain in 6 7 8; do
    device vbd3 $domain 51712 "aio:$image" r
    add_device
done
device vbd3 9 51712 "aio:$image" w
refuse_device busy "uses it already"

# A reader that calls it another type has a tapdisk of its own, which goes with him.
readers=$pid
device vbd3 11 51712 "sync:$image" r
add_device
test "$pid" != "$readers" || fail "one tapdisk serves two types"
remove_device
wait_gone "$pid"
pid=$readers
! gone "$readers" || fail "removing a device has stopped another's tapdisk"
xenstore-write /local/domain/10/vm /vm/6
rm -r "$XENSTORE/local/domain/0/backend/vbd3/9"
for domain in 7 8; do
    XENBUS_PATH=backend/vbd3/$domain/51712
    remove_device
done
for mode in w 'w!'; do
    device vbd3 10 51712 "aio:$image" "$mode"
    refuse_device busy "served read-only already"
done
XENBUS_PATH=backend/vbd3/6/51712
remove_device
wait_gone "$pid"
nothing_left

# Scripts that come at once make one tapdisk: the lock.
chmod u+w "$image"
for domain in 21 22 23 24; do
    xenstore-write "/local/domain/$domain/vm" /vm/same
    device vbd3 $domain 51712 "aio:$image" w
    "$top_srcdir/tools/hotplug/Linux/block-tapdisk" add 2>"$tmp/err.$domain" &
    adders="${adders:-} $!"
done
for adder in $adders; do
    wait "$adder" || fail "one of several: $(cat "$tmp"/err.2*)"
done
for domain in 21 22 23 24; do
    printf '%s\n' "$(key "backend/vbd3/$domain/51712/pid")"
done | sort -u >"$tmp/pids"
test "$(wc -l <"$tmp/pids")" -eq 1 || fail "several tapdisks for one image: $(cat "$tmp/pids")"
for domain in 21 22 23 24; do
    XENBUS_PATH=backend/vbd3/$domain/51712
    remove_device
done
wait_gone "$(cat "$tmp/pids")"
nothing_left
