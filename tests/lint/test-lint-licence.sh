#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every source says its licence in its first lines, and says what the room is for right after.
. "$(dirname "$0")/lint.sh"

{
    files '\.([ch]|am|ac|awk|py|[1-9])$'
    scripts
} | sort -u | xargs awk '
    FNR <= 2 && /SPDX-License-Identifier: BSD-2-Clause/ { licensed[FILENAME] = 1 }
    FNR == 2 && /^\/\*/ { introduced[FILENAME] = 1 }
    FNR == 2 { nextfile }
    END {
        for (i = 1; i < ARGC; i++) {
            if (!(ARGV[i] in licensed))
                print ARGV[i] ": no line with its licence at the top"
            if (ARGV[i] ~ /\.[ch]$/ && !(ARGV[i] in introduced))
                print ARGV[i] ": the second line does not begin to say what the file is for"
        }
    }' >"$tmp/found"
cat "$tmp/found"
test ! -s "$tmp/found"
