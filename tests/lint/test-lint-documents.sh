#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A path that the documents name exists.
. "$(dirname "$0")/lint.sh"

{
    files '\.md$'
    echo blktap2/README
} >"$tmp/documents"
bad=0
while read -r document; do
    # shellcheck disable=SC2016 # these are the quotes of the document
    grep -oE '`[a-z.][A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*`' "$document" | tr -d '`' | grep -v mynewdisk |
        grep -E '^(blktap2|bench|docs|scripts|tests|tools|\.ci)/' | sort -u >"$tmp/paths" || :
    while read -r path; do
        test -e "$path" || {
            echo "$document: there is no $path"
            bad=1
        }
    done <"$tmp/paths"
done <"$tmp/documents"
exit $bad
