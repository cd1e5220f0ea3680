#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# No object has a variable of its own: state hangs off what main() made.
. "$(dirname "$0")/lint.sh"

test -z "${SANITIZERS:-}" || skip "sanitizers add variables"
# Tables that the driver guide wants writable; of libblktapctl its one switch, and the text that
# tap_ctl_control_dir() lends; of libvhd how much it says to syslog.
excepted='tapdisk_[a-z0-9]+|[a-z0-9_]+_disk|dtypes|tap_ctl_debug|libvhd_log_level|dir\.[0-9]+'
find "$top_builddir/blktap2" -name '*.o' ! -path '*/.libs/*' >"$tmp/objects"
test -s "$tmp/objects" || skip "nothing has been built"
xargs objdump -t <"$tmp/objects" | awk -v excepted="^($excepted)\$" '
    /: +file format / { object = $1 }
    NF < 4 { next }
    $(NF - 2) ~ /^\.(data|bss)(\.|$)/ && $(NF - 2) !~ /^\.data\.rel\.ro/ &&
    $NF !~ /^\.(data|bss)/ && $NF !~ excepted { print object " " $NF }
    $(NF - 2) == "*COM*" { print object " " $NF }' >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
