#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A file has one subject (at most 800 lines), a function fits a screen (at most 80).
. "$(dirname "$0")/lint.sh"

files '\.([ch]|py|sh)$' >"$tmp/files"
xargs awk -v file_lines=800 -v function_lines=80 '
    function file_ends() {
        if (lines > file_lines) {
            print name ": " lines " lines in one file"
            bad = 1
        }
    }
    FNR == 1 { file_ends(); name = FILENAME; open = 0 }
    { lines = FNR }
    FILENAME !~ /\.[ch]$/ { next }
    /^\{/ { open = FNR }
    /^\}/ && open {
        if (FNR - open + 1 > function_lines) {
            print FILENAME ":" open ": " FNR - open + 1 " lines in one function"
            bad = 1
        }
        open = 0
    }
    END { file_ends(); exit bad }' <"$tmp/files"
