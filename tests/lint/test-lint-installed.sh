#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every installed program has a manual page, which blktap2(7) names, and every page a program or a
# subject of section 7.
. "$(dirname "$0")/lint.sh"

cd "$top_builddir"
# shellcheck disable=SC2016 # for make
printf 'include Makefile\nsay-%s:\n\t@echo $(%s)\n' \
    programs 'bin_PROGRAMS) $(sbin_PROGRAMS) $(bin_SCRIPTS) $(sbin_SCRIPTS' >"$tmp/programs.mk"
# shellcheck disable=SC2016 # for make
printf 'include Makefile\nsay-pages:\n\t@echo $(dist_man_MANS)\n' >"$tmp/pages.mk"
list() {
    MAKEFLAGS='' "${MAKE:-make}" -s -f "$tmp/$1.mk" "say-$1" | tr ' ' '\n' | sed 's,.*/,,;/^$/d'
}
list programs | sed 's/\..*//' | sort >"$tmp/programs"
list pages | grep -v '\.7$' | sed 's/\.[1-9]$//' | sort >"$tmp/pages"
test -s "$tmp/programs" || skip "nothing is installed"
diff "$tmp/programs" "$tmp/pages" || fail "programs (<) and manual pages (>) differ"
while read -r program; do
    grep -q "^\.It Xr $program 8\$" "$top_srcdir/docs/blktap2.7" || fail "$program is not in blktap2(7)"
done <"$tmp/programs"
