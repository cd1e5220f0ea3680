#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The tarball holds every file of the repository.
. "$(dirname "$0")/lint.sh"

if ! test -e .git || ! git ls-files >/dev/null 2>&1; then skip "this is no checkout"; fi
cd "$top_builddir"
MAKEFLAGS='' "${MAKE:-make}" -s distdir distdir="$tmp/tree" >"$tmp/log" 2>&1 || {
    cat "$tmp/log"
    fail "make distdir"
}
cd "$top_srcdir"
git ls-files | grep -Ev '(^|/)\.gitignore$' | while read -r file; do
    test ! -e "$file" || test -e "$tmp/tree/$file" || echo "$file"
done >"$tmp/missing"
test ! -s "$tmp/missing" || fail "not in the tarball: $(tr '\n' ' ' <"$tmp/missing")"
