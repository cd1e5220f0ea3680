#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ram: one store for all disks of a process that name the same image, never written back, loaded again
# after the last one has closed.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

image=$tmp/disk.img
truncate -s 4M "$image"
pid=$(tap-ctl spawn)
third=$pid
at_exit kill "$pid"
for n in 0 1; do
    tap-ctl allocate >/dev/null
    tap-ctl attach -p "$pid" -m $n
    tap-ctl open -p "$pid" -m $n -a "ram:$image"
done
io() {
    disk=$1
    shift
    qemu-io -f raw "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$pid.$disk" "$@" >"$tmp/io" || fail "$(cat "$tmp/io")"
    grep -q 'verification failed' "$tmp/io" && fail "disk $disk: $*"
    return 0
}
io 0 -c 'write -P 7 1M 64k'
io 1 -c 'read -P 7 1M 64k'
tap-ctl close -p "$pid" -m 0
io 1 -c 'read -P 7 1M 64k'
tap-ctl close -p "$pid" -m 1
tap-ctl open -p "$pid" -m 1 -a "ram:$image"
io 1 -c 'read -P 0 1M 64k'
cmp -n 4194304 "$image" /dev/zero || fail "the image was written"
tap-ctl close -p "$pid" -m 1

# tap-ctl create finds the process that serves the image already.
start_disk "ram:$image"
first=$pid
first_minor=$minor
start_disk "ram:$image"
test "$pid" = "$first" || fail "two processes for one store"
test "$minor" != "$first_minor" || fail "two disks with one minor"
io "$first_minor" -c 'write -P 9 2M 64k'
io "$minor" -c 'read -P 9 2M 64k'
tap-ctl destroy -p "$first" -m "$first_minor"
stop_disk "$first" "$minor"
pid=$third

# 1024000 sectors are the most.
truncate -s $((1024001 * 512)) "$image"
expect_exit 12 tap-ctl open -p "$pid" -m 1 -a "ram:$image"
