#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Nothing calls what forbidden.txt forbids.
. "$(dirname "$0")/lint.sh"

files '\.[ch]$' blktap2 bench tests >"$tmp/files"
while read -r file; do
    awk -f "$lint/strip.awk" "$file" | awk -v file="$file" '
        function applies(list,   i, n, prefix, yes) {
            n = split(list, prefix, " ")
            yes = 0
            for (i = 1; i <= n; i++)
                if (prefix[i] ~ /^!/) {
                    if (index(file, substr(prefix[i], 2)) == 1)
                        return 0
                } else if (index(file, prefix[i]) == 1)
                    yes = 1
            return yes
        }
        FNR == NR {
            if (/^[^#]/) {
                split($0, column, "\t")
                if (applies(column[2]))
                    pattern[++patterns] = "(^|[^A-Za-z0-9_>.])(" column[1] ")[ \t]*\\("
            }
            next
        }
        {
            for (i = 1; i <= patterns; i++)
                if (match($0, pattern[i])) {
                    call = substr($0, RSTART, RLENGTH)
                    gsub(/[^A-Za-z0-9_]/, "", call)
                    printf "%s:%d: calls %s()\n", file, FNR, call
                }
        }' "$lint/forbidden.txt" -
done <"$tmp/files" >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
