#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A header includes what it uses; the installed ones also speak C++.
. "$(dirname "$0")/lint.sh"

: "${CC:=cc}"
bad=0
packages=
for package in json-c uuid check liburing; do
    if pkg-config --exists "$package" 2>/dev/null; then packages="$packages $package"; fi
done
# shellcheck disable=SC2086
foreign=$(test -z "$packages" || pkg-config --cflags $packages)

# The warnings of the build, and none about what a header leaves unused.
compile() {
    # shellcheck disable=SC2086
    "$@" -fsyntax-only -Wall -Wextra -Werror -Wno-unused -D_GNU_SOURCE -I"$top_builddir" -I. \
        -Iblktap2 -Iblktap2/include $foreign
}

files '\.h$' blktap2 bench tests >"$tmp/headers"
while read -r header; do
    printf '#include "%s"\n' "$header" >"$tmp/one.c"
    # shellcheck disable=SC2086
    compile $CC -std=gnu11 "$tmp/one.c" || bad=1
done <"$tmp/headers"

cxx=
for name in "${CXX:-c++}" clang++; do
    if command -v "$name" >/dev/null; then
        cxx=$name
        break
    fi
done
test -n "$cxx" || exit $bad
files '\.h$' blktap2/include >"$tmp/contracts"
while read -r header; do
    printf '#include "%s"\n' "$header" >"$tmp/one.cc"
    compile "$cxx" "$tmp/one.cc" || bad=1
done <"$tmp/contracts"
exit $bad
