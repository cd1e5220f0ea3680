# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What the tests of the source text share.  They look at the source tree, wherever the build is, and
# can be run by hand: tests/lint/test-lint-floors.sh
set -eu

lint=$(cd "$(dirname "$0")" && pwd)
top_srcdir=${top_srcdir:-$(cd "$lint/../.." && pwd)}
if test -z "${top_builddir:-}"; then
    top_builddir=$top_srcdir
    test -e "$top_builddir/config.status" || top_builddir=$top_srcdir/build
fi
cd "$top_srcdir"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
    echo "${0##*/}: skipped: $*" >&2
    exit 77
}

fail() {
    echo "${0##*/}: FAILED: $*" >&2
    exit 1
}

# The files of the project, one path per line.  In a checkout git knows them; a tarball holds nothing
# else, but may have been built in.
all_files() {
    if test -e .git && git ls-files >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard | while read -r file; do
            test -e "$file" && echo "$file"
        done
    else
        find . \( -name '.?*' ! -name '.ci' ! -name '.clang-format' ! -name '.editorconfig' \
            ! -name '.shellcheckrc' -o -name 'build*' -o -name '_*' -o -name autom4te.cache \
            -o -name m4 \) -prune -o -type f -print |
            sed 's,^\./,,' |
            grep -Ev '(^|/)Makefile(\.in)?$|^(aclocal.m4|config[.a-z]*|libtool|stamp-h1)$' |
            grep -Ev '\.(o|lo|la|a|log|trs|pyc)$|^configure~?$'
    fi | sort
}

# files REGEX [FOLDER...]: those whose path matches, below any of the folders.
files() {
    files_regex=$1
    shift
    all_files | grep -E "$files_regex" | if test $# -eq 0; then cat; else
        files_below=$(printf '|%s' "$@")
        grep -E "^(${files_below#|})/" || :
    fi
}

# Scripts for sh: by name, or by their first line.
scripts() {
    all_files | grep -Ev '\.([ch1-9]|py|md|am|ac|awk|txt)$' | xargs awk '
        FILENAME ~ /\.sh$/ || /^#!\/bin\/(ba)?sh/ { print FILENAME }
        { nextfile }'
}
