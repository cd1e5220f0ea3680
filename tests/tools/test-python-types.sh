#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The Python side is typed, can be imported without anything of Xen, and says nothing then.
. "${top_srcdir:=.}/tests/functions.sh"

modules=$tmp/modules/xen/xend/server
mkdir -p "$modules"
cp "$top_srcdir"/tools/python/xen/xend/server/*.py \
    "$top_builddir"/tools/python/xen/xend/server/blktap_disk_types_gen.py "$modules/"
rm -f "$modules/__init__.py"
for module in BlktapController diskconfig tapctl; do
    "${PYTHON:-python3}" -I -B -W error -c "import sys
sys.path.insert(0, '$tmp/modules')
import xen.xend.server.$module" >"$tmp/said" 2>&1 || fail "import of $module: $(cat "$tmp/said")"
    test ! -s "$tmp/said" || fail "$module speaks: $(cat "$tmp/said")"
done
requires mypy --version
cd "$tmp/modules"
mypy --strict --namespace-packages --explicit-package-bases --cache-dir "$tmp/cache" xen >"$tmp/said" ||
    fail "$(cat "$tmp/said")"
