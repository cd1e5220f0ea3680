# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What the tests of hotplug scripts share, on top of functions.sh: a xenstore of files.
#
#     device KIND DOMID DEVID PARAMS MODE   what a toolstack writes; its directory is $XENBUS_PATH
#     script add|remove                     call block-tapdisk for the device
#     key PATH                              a value, or nothing
#     add_device, remove_device             the same with the checks that every test wants
. "$top_srcdir/tests/functions.sh"

XENSTORE=$tmp/store
BLKTAP_HOTPLUG_LOCKS=$tmp/locks
mkdir -p "$tmp/bin" "$XENSTORE"
for command in read write list exists; do
    ln -s "$top_srcdir/tests/hotplug/fake-xenstore" "$tmp/bin/xenstore-$command"
done
PATH=$tmp/bin:$PATH
export PATH XENSTORE BLKTAP_HOTPLUG_LOCKS

device() {
    XENBUS_TYPE=$1
    XENBUS_PATH=backend/$1/$2/$3
    export XENBUS_TYPE XENBUS_PATH
    xenstore-write -R -- "$XENBUS_PATH/params" "$4" "$XENBUS_PATH/mode" "$5" \
        "$XENBUS_PATH/frontend-id" "$2"
    # A machine per domain, unless the test has said otherwise.
    xenstore-exists "/local/domain/$2/vm" || xenstore-write "/local/domain/$2/vm" "/vm/$2"
}

key() {
    xenstore-read -R "$1" 2>/dev/null || :
}

script() {
    # Output that a tapdisk held open would make this wait.
    timeout 60 "$top_srcdir/tools/hotplug/Linux/block-tapdisk" "$1" </dev/null >"$tmp/script.out" 2>&1
}

no_lock_left() {
    test ! -e "$BLKTAP_HOTPLUG_LOCKS/block" || fail "the lock file is still there"
}

add_device() {
    script add || fail "add: $(cat "$tmp/script.out")"
    test "$(key "$XENBUS_PATH/hotplug-status")" = connected || fail "not connected"
    pid=$(key "$XENBUS_PATH/pid")
    minor=$(key "$XENBUS_PATH/minor")
    no_lock_left
}

# refuse_device STATUS WORDS: the toolstack is told, in these words.
refuse_device() {
    ! script add || fail "a device was added that should have been refused with: $2"
    test "$(key "$XENBUS_PATH/hotplug-status")" = "$1" ||
        fail "hotplug-status $(key "$XENBUS_PATH/hotplug-status"), not $1"
    key "$XENBUS_PATH/hotplug-error" | grep -qF -e "$2" ||
        fail "hotplug-error does not say \"$2\": $(key "$XENBUS_PATH/hotplug-error")"
    no_lock_left
}

# The toolstack forgets the device after the script.
remove_device() {
    script remove || fail "remove: $(cat "$tmp/script.out")"
    rm -rf "$XENSTORE/local/domain/0/${XENBUS_PATH:?}"
    no_lock_left
}
