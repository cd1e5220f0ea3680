#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# lvm-util takes apart what vgs and lvs say, runs no shell, and says what is wrong with either.
. "${top_srcdir:=.}/tests/functions.sh"

# fake PROGRAM STATUS: a PROGRAM that notes its arguments and answers with $tmp/PROGRAM.out.
mkdir "$tmp/bin"
fake() {
    cat >"$tmp/bin/$1" <<END
#!/bin/sh
for word; do printf '%s\n' "\$word"; done >'$tmp/$1.args'
printf '%s\n' "\$LC_ALL" >'$tmp/$1.locale'
cat '$tmp/$1.out'
exit $2
END
    chmod 755 "$tmp/bin/$1"
}
PATH=$tmp/bin:$PATH
export LC_ALL=C.UTF-8

# ---- a group with everything ----
fake vgs 0
fake lvs 0
cat >"$tmp/vgs.out" <<'END'
  VG_XenStorage-1+a.b 4194304 3 2 /dev/sda3 10485760
  VG_XenStorage-1+a.b 4194304 3 2 /dev/mapper/some-pv 1048576
END
cat >"$tmp/lvs.out" <<'END'
  VHD-1      12582912 linear  2 0       8388608 /dev/sda3(0)
  VHD-1      12582912 linear  2 8388608 4194304 /dev/mapper/some-pv(7)

  late-first 8388608  linear  2 4194304 4194304 /dev/sda3(9)
  late-first 8388608  linear  2 0       4194304 /dev/sda3(4)
  wide       8388608  striped 1 0       8388608 /dev/sda3(100),/dev/mapper/some-pv(1)
  thin+1     99999997952 thin 1 0       99999997952
  odd(1)linear
END
sed -i '$d' "$tmp/lvs.out"
cat >"$tmp/expected" <<'END'
vg VG_XenStorage-1+a.b: extent_size: 4194304, pvs: 2, lvs: 4
pv /dev/sda3: start 10485760
pv /dev/mapper/some-pv: start 1048576
lv VHD-1: size: 12582912, segments: 2, type: 1, dev: /dev/sda3, pe_start: 0, pe_size: 2
lv late-first: size: 8388608, segments: 2, type: 1, dev: /dev/sda3, pe_start: 4, pe_size: 1
lv wide: size: 8388608, segments: 1, type: 0, dev: unknown, pe_start: 0, pe_size: 0
lv thin+1: size: 99999997952, segments: 1, type: 0, dev: unknown, pe_start: 0, pe_size: 0
END
expect_exit 0 lvm-util VG_XenStorage-1+a.b
diff "$tmp/expected" "$tmp/out" || fail "the lines for a group"
test ! -s "$tmp/err" || fail "it complains"

# ---- what they are asked ----
diff - "$tmp/vgs.args" <<'END' || fail "the arguments of vgs"
VG_XenStorage-1+a.b
--noheadings
--nosuffix
--units=b
--options=vg_name,vg_extent_size,lv_count,pv_count,pv_name,pe_start
--unbuffered
END
diff - "$tmp/lvs.args" <<'END' || fail "the arguments of lvs"
VG_XenStorage-1+a.b
--noheadings
--nosuffix
--units=b
--options=lv_name,lv_size,segtype,seg_count,seg_start,seg_size,devices
--unbuffered
END
test "$(cat "$tmp/vgs.locale" "$tmp/lvs.locale" | sort -u)" = C || fail "the locale of the tools"

# ---- a group without volumes ----
: >"$tmp/lvs.out"
expect_exit 0 lvm-util VG_XenStorage-1+a.b
grep -q '^vg .*, pvs: 2, lvs: 0$' "$tmp/out" || fail "a group without volumes"

# ---- names that LVM would not take never reach it ----
# shellcheck disable=SC2016 # nothing is to be expanded
for name in '' -v '--config=x' "a'b" 'a b' 'a;b' '$(id)' 'a/b' '"a"' . ..; do
    rm -f "$tmp/vgs.args"
    expect_exit 22 lvm-util "$name"
    test ! -e "$tmp/vgs.args" || fail "vgs was asked about '$name'"
    test ! -s "$tmp/out" || fail "output for '$name'"
    test "$(wc -l <"$tmp/err")" -eq 1 || fail "one line about '$name'"
done
expect_exit 22 lvm-util
grep -qx 'usage: lvm-util <vgname>' "$tmp/err" || fail "no usage"
expect_exit 22 lvm-util a b
grep -qx 'usage: lvm-util <vgname>' "$tmp/err" || fail "no usage"

for option in -h --help; do
    expect_exit 0 lvm-util $option
    grep -qx 'usage: lvm-util <vgname>' "$tmp/out" || fail "no usage for $option"
done

# ---- answers that make no sense ----
good_vgs='vg 4194304 1 1 /dev/sda 1048576'
good_lvs='lv 8388608 linear 1 0 8388608 /dev/sda(0)'
answers() {
    printf '%s\n' "$1" >"$tmp/vgs.out"
    printf '%s\n' "$2" >"$tmp/lvs.out"
}
refused() {
    answers "$1" "$2"
    expect_exit 22 lvm-util vg
    grep -q "^lvm-util: $3: an answer that makes no sense: " "$tmp/err" || fail "$1 / $2"
    test ! -s "$tmp/out" || fail "output for $1 / $2"
}
answers "$good_vgs" "$good_lvs"
expect_exit 0 lvm-util vg
for line in '' 'other 4194304 1 1 /dev/sda 1048576' 'vg 4194304B 1 1 /dev/sda 1048576' \
    'vg 0 1 1 /dev/sda 1048576' 'vg 4194304 1 1 unknown 1048576' 'vg 4194304 -1 1 /dev/sda 1' \
    'vg 4194304 1 1 /dev/sda' 'vg 4194304 1 1 /dev/sda 1 2 3 4 5' \
    'vg 4194304 1 1 /dev/sda 99999999999999999999'; do
    refused "$line" "$good_lvs" vgs
done
for line in "l'v 8388608 linear 1 0 8388608 /dev/sda(0)" '"lv" 8388608 linear 1 0 8388608 /dev/sda(0)' \
    'lv 8m linear 1 0 8388608 /dev/sda(0)' 'lv 8388608 linear' \
    'lv 8388608 linear 1 0 8388608 /dev/sda(0) more' 'lv 8388608 linear one 0 8388608 /dev/sda(0)' \
    '-lv 8388608 linear 1 0 8388608 /dev/sda(0)'; do
    refused "$good_vgs" "$line" lvs
done

# A device that is not understood makes a segment unknown, not the group.
for device in '/dev/sda' '/dev/sda()' '(0)' '/dev/sda(0)x' '/dev/sda(-1)' \
    '/dev/sda(99999999999999999999)' '/dev/a(0),/dev/b(0)'; do
    answers "$good_vgs" "lv 8388608 linear 1 0 8388608 $device"
    expect_exit 0 lvm-util vg
    grep -q '^lv lv: .* type: 0, dev: unknown, ' "$tmp/out" || fail "the device $device"
done
printf 'vg 4194304 1 1 /dev/s\000da 1048576\n' >"$tmp/vgs.out"
expect_exit 90 lvm-util vg

# ---- tools that fail ----
answers "$good_vgs" "$good_lvs"
fake lvs 5
expect_exit 5 lvm-util vg
grep -qx 'lvm-util: lvs failed with status 5' "$tmp/err" || fail "lvs that fails"
printf '#!/bin/sh\nkill -KILL $$\n' >"$tmp/bin/vgs"
expect_exit 5 lvm-util vg
grep -qx 'lvm-util: vgs was ended by signal 9' "$tmp/err" || fail "vgs that is killed"
rm "$tmp/bin/vgs"
expect_exit 2 env PATH="$tmp/bin" "$(command -v lvm-util)" vg
grep -qx 'lvm-util: vgs: No such file or directory' "$tmp/err" || fail "no vgs"
