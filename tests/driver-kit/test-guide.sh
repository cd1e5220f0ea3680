#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Whoever follows blktap2/README to the letter has a working driver: its five steps and its code are taken
# from the text itself and applied to a copy of the tree.
set -e
tmp=$(mktemp -d "${TMPDIR:-/tmp}/guide.XXXXXX")
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
    rm -rf "$tmp"
}
trap cleanup EXIT
fail() {
    echo "FAIL: $*"
    exit 1
}
command -v qemu-io >/dev/null || {
    echo "SKIP: no qemu-io"
    exit 77
}

# Copies of the tree and of this build, as far from each other as they are, and told where they are
# now: so only what the new driver touches is made again.
guide=$top_srcdir/blktap2/README
tree=$tmp$top_srcdir
build=$tmp$top_builddir
copy() { # folder, names to leave out...
    copied=$1
    shift
    mkdir -p "$tmp$copied"
    tar -C "$copied" -cf - "$@" . | tar -C "$tmp$copied" -xf -
}
copy "$top_srcdir" --exclude=./build --exclude=./.git --exclude='./*.tar.*' --exclude='./blktap2-*'
copy "$top_builddir" --exclude='./*.tar.*' --exclude='./blktap2-*' --exclude='*.log' --exclude='*.trs'
chmod -R u+w "$tree" "$build"
moved="s,\\($top_srcdir\\|$top_builddir\\)\\([^[:alnum:]_.-]\\|\$\\),$tmp\\1\\2,g"
find "$build" \( -name Makefile -o -name config.status -o -name libtool -o -path '*/.deps/*.P*' \) \
    -exec sed -i "$moved" {} +

# The indented block that follows "Step N." in the guide.
step() {
    awk -v n="$1" '
        $0 ~ "^Step " n "\\." { on = 1; next }
        on && /^(Step|Writing)/ { exit }
        on && /^    / { print substr($0, 5) }' "$guide"
}

table=$tree/blktap2/drivers/disktypes.h
step 1 >"$tmp/1"; step 2 >"$tmp/2"; step 3 >"$tmp/3"; step 4 >"$tmp/4"
for n in 1 2 3 4; do
    [ -s "$tmp/$n" ] || fail "the guide has no step $n"
done
sed -i \
    -e "/^extern struct tap_disk tapdisk_null;/r $tmp/1" \
    -e "/^#define DISK_TYPE_NBD/r $tmp/2" \
    -e "/^\/\* Step 4: /{
        r $tmp/3
        N
    }" \
    -e "/ 10 free/{
        r $tmp/4
        d
    }" "$table"
# Step 3 landed behind the comment of step 4; both are comments and declarations, so order is free.
sed -n '/^--- block-mynewdisk.c/,/^--- end/p' "$guide" | sed '1d;$d' \
    >"$tree/blktap2/drivers/block-mynewdisk.c"
sed -i 's|^\t%D%/block-null.c|\t%D%/block-mynewdisk.c \\\n&|' "$tree/blktap2/drivers/Makefile.am"

(
    cd "$build"
    $MAKE -j2 blktap2/drivers/tapdisk2 blktap2/control/tap-ctl tests/driver-kit/td-conform \
        tools/python/xen/xend/server/blktap_disk_types_gen.py
) >"$tmp/log" 2>&1 || {
    tail -30 "$tmp/log"
    fail "the guide's driver does not build"
}

grep -q "'mynewdisk'" "$build"/tools/python/xen/xend/server/blktap_disk_types_gen.py ||
    fail "mynewdisk is not in the Python list"
test "$build" = "$tree" || cp "$build"/tools/python/xen/xend/server/blktap_disk_types_gen.py \
    "$tree"/tools/python/xen/xend/server/
PYTHONPATH=$tree/tools/python "${PYTHON:-python3}" -B -c '
from xen.xend.server import BlktapController
assert BlktapController.blktap_disk_types.count("mynewdisk") == 1
assert BlktapController.parse_uname("tap:mynewdisk:/d").params == "mynewdisk:/d"' ||
    fail "Python does not know mynewdisk"

"$build/tests/driver-kit/td-conform" mynewdisk || fail "it does not conform"

export BLKTAP_CONTROL_DIR="$tmp/run"
uri=$("$build/blktap2/drivers/tapdisk2" -n mynewdisk:/anything) || fail "it does not serve"
pid=${uri##*/nbd}
pid=${pid%%.*}
qemu-io -f raw "$uri" -c 'write -P 5 1M 1M' -c flush -c 'read -P 5 1M 1M' -c 'read -P 0 0 1M' ||
    fail "what was written is not read back"
"$build/blktap2/control/tap-ctl" list | grep -q "args=mynewdisk:/anything" ||
    fail "tap-ctl does not list it"
"$build/blktap2/control/tap-ctl" destroy -p "$pid" -m 0
pid=
echo "PASS: the guide works"
