#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every source says its licence in its first lines, and says what the room is for right after.
. "$(dirname "$0")/lint.sh"

bad=0
{
    files '\.([ch]|am|ac|awk|py|[1-9])$'
    scripts
} | sort -u >"$tmp/files"
while read -r file; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || {
        echo "$file: no line with its licence at the top"
        bad=1
    }
    case $file in
    *.[ch])
        sed -n 2p "$file" | grep -q '^/\*' || {
            echo "$file: the second line does not begin to say what the file is for"
            bad=1
        }
        ;;
    esac
done <"$tmp/files"
exit $bad
