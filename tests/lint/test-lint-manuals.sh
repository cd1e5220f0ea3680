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
done <"$tmp/pages"
exit $bad
