#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Manual pages are sound mdoc, and have examples.
. "$(dirname "$0")/lint.sh"

command -v mandoc >/dev/null || skip "no mandoc"
bad=0
files '\.[1-9]$' blktap2 docs tools >"$tmp/pages"
while read -r page; do
    mandoc -T lint -W warning "$page" || bad=1
    grep -q '^\.Sh EXAMPLES' "$page" || {
        echo "$page: no examples"
        bad=1
    }
    command -v man >/dev/null || continue
    warned=$(LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    test -z "$warned" || {
        echo "$page: $warned"
        bad=1
    }
done <"$tmp/pages"
exit $bad
