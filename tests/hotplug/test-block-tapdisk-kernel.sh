#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk for the kernel's backend: block-tapdisk asks for a device, and tells its numbers.
. "${top_srcdir:=.}/tests/hotplug/rig.sh"

# This host may have no such devices: a tap-ctl that says what the real one says.
cat >"$tmp/bin/tap-ctl" <<'FAKE'
#!/bin/sh
printf '%s\n' "$*" >>"$CALLS"
case $1 in
create) test -z "${NO_DRIVER:-}" || { echo "tap-ctl: create: vhd:/third: no driver" >&2; exit 19; }
    echo /dev/xen/blktap-2/tapdev7 ;;
list)
    case $* in
    *-m*) echo "pid=4711 minor=7 state=0 args=qcow2:/x y" ;;
    *) test -z "${SERVED:-}" || echo "pid=4711 minor=7 state=0 args=qcow2:/x\\040y" ;;
    esac ;;
esac
FAKE
chmod +x "$tmp/bin/tap-ctl"
# Of a device nothing but its numbers is asked.
cat >"$tmp/bin/stat" <<'FAKE'
#!/bin/sh
case $* in
*/tapdev7) test -z "${NO_DEVICE:-}" && echo 2b:10 ;;
*) PATH=${PATH#*:} exec stat "$@" ;;
esac
FAKE
chmod +x "$tmp/bin/stat"
cat >"$tmp/bin/modprobe" <<'FAKE'
#!/bin/sh
echo "modprobe $*" >>"$CALLS"
exit 1
FAKE
chmod +x "$tmp/bin/modprobe"
CALLS=$tmp/calls
export CALLS
: >"$CALLS"

called() {
    grep -qxF -e "$1" "$CALLS" || fail "not called: $1; but $(cat "$CALLS")"
}

# The script has a PATH of its own behind ours: these fakes come first.
device vbd 1 51712 "qcow2:/x y" w
add_device
called "create -a qcow2:/x y -K"
test "$(key "$XENBUS_PATH/physical-device")" = 2b:10 || fail "physical-device"
test "$(key "$XENBUS_PATH/physical-device-path")" = /dev/xen/blktap-2/tapdev7 || fail "path"
test "$pid.$minor" = 4711.7 || fail "pid and minor: $pid.$minor"

# A reader opens read-only; and one that finds a tapdisk uses it.
device vbd 2 51712 "vhd:/other" r
add_device
called "create -a vhd:/other -R -K"
remove_device
: >"$CALLS"
SERVED=yes
export SERVED
device vbd 1 51728 "qcow2:/x y" w
add_device
called "list -t qcow2 -f /x y"
! grep -q create "$CALLS" || fail "a second tapdisk for the same image"
remove_device
! grep -q destroy "$CALLS" || fail "destroyed while another device uses it"
XENBUS_PATH=backend/vbd/1/51712
remove_device
called "destroy -p 4711 -m 7"
SERVED=

# No driver, or no device: told in words; what was made is taken back.
NO_DRIVER=yes
export NO_DRIVER
device vbd 3 51712 "vhd:/third" w
refuse_device error "vhd:/third: no driver"
NO_DRIVER=
NO_DEVICE=yes
export NO_DEVICE
: >"$CALLS"
refuse_device error "without the block device /dev/xen/blktap-2/tapdev7"
called "destroy -p 4711 -m 7"
