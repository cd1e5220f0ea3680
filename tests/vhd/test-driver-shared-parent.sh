#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Many disks share one parent, three in one process and two each in its own: all see the data of the
# parent under their own, and the parent stays what it is, to the byte.
. "${top_srcdir:=.}/tests/functions.sh"
requires qemu-io --version

cd "$tmp"
vhd-util create -n parent.vhd -s 16
start_disk "vhd:$tmp/parent.vhd"
qemu-io -f raw "$uri" -c 'write -P 101 0 6M' -c 'write -P 102 10M 512' >out || fail "$(cat out)"
stop_disk
cp parent.vhd parent.before
for leaf in 1 2 3 4 5; do
    vhd-util snapshot -n $leaf.vhd -p parent.vhd
done

for leaf in 4 5; do
    start_disk "vhd:$tmp/$leaf.vhd"
    echo "$uri" >uri.$leaf
done
process=$(tap-ctl spawn)
for leaf in 1 2 3; do
    minor=1$leaf
    tap-ctl allocate -m $minor >out
    tap-ctl attach -p "$process" -m $minor
    tap-ctl open -p "$process" -m $minor -a "vhd:$tmp/$leaf.vhd"
    echo "nbd+unix:///?socket=$BLKTAP_CONTROL_DIR/nbd$process.$minor" >uri.$leaf
done
test "$(tap-ctl list | sed -n 's/^pid=\([0-9]*\) .*/\1/p' | sort -u | wc -l)" -eq 3 || fail "$(tap-ctl list)"

# io LEAF -c COMMAND...
io() {
    leaf=$1
    shift
    qemu-io -f raw "$(cat "uri.$leaf")" "$@" >"out.$leaf" 2>&1 || fail "leaf $leaf: $(cat "out.$leaf")"
    ! grep -q failed "out.$leaf" || fail "leaf $leaf: $(cat "out.$leaf")"
}

# All at once: its own megabyte of what the parent has, bytes inside a sector, and what none has.
write_all() {
    writers=
    for leaf in 1 2 3 4 5; do
        io $leaf -c "write -P $leaf ${leaf}M 1M" -c "write -P $leaf 10485770 7" \
            -c "write -P $leaf 12M 64k" -c "write -z 0 $((leaf * 4))k" -c flush &
        writers="$writers $!"
    done
    for writer in $writers; do
        wait "$writer" || fail "a leaf could not be written"
    done
}

look_at_all() {
    for leaf in 1 2 3 4 5; do
        own=$((leaf << 20))
        io $leaf -c "read -P 0 0 $((leaf * 4))k" -c "read -P 101 $((leaf * 4))k $((own - leaf * 4096))" \
            -c "read -P $leaf $own 1M" -c "read -P 102 10M 10" -c "read -P $leaf 10485770 7" \
            -c "read -P 102 10485777 495" -c "read -P 0 10486272 1M" -c "read -P $leaf 12M 64k" \
            -c "read -P 0 13M 3M"
        test "$leaf" -eq 5 || io "$leaf" -c "read -P 101 $((own + (1 << 20))) $((5 - leaf))M"
    done
}

write_all
look_at_all
cmp parent.vhd parent.before || fail "the parent has changed"

# One goes: the others are not disturbed.
tap-ctl close -p "$process" -m 12
io 1 -c 'read -P 101 2M 4M'
tap-ctl open -p "$process" -m 12 -a "vhd:$tmp/2.vhd"
look_at_all
for minor in 11 12 13; do
    tap-ctl destroy -p "$process" -m $minor
done
wait_gone "$process"
cmp parent.vhd parent.before || fail "the parent has changed"
for leaf in 1 2 3; do
    vhd-util check -n $leaf.vhd -p >out || fail "$(cat out)"
done
