#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who has only what is installed can compile and link with libvhd, shared and static, and call all
# that it exports.
. "${top_srcdir:=.}/tests/functions.sh"
requires pkg-config --version
: "${CC:=cc}"

root=$tmp/root
MAKEFLAGS='' "${MAKE:-make}" -s -C "$top_builddir" DESTDIR="$root" install-libLTLIBRARIES \
    install-vhdincludeHEADERS install-pkgconfigDATA >"$tmp/install" 2>&1 || fail "$(cat "$tmp/install")"
pc=$(find "$root" -name vhd.pc)
test -n "$pc" || fail "vhd.pc is not installed"
PKG_CONFIG_LIBDIR=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS PKG_CONFIG_ALLOW_SYSTEM_LIBS
folder=$(dirname "$(find "$root" -name libvhd.so.2)")
private=$(sed -n 's/^Libs.private: //p' "$pc")

# In a folder of its own, as nothing of the tree shall be found by chance.
cd "$tmp"
cp "$top_srcdir/tests/vhd/installed-libvhd.c" user.c

# Sanitizers, where the compiler has them.
sanitize=-fsanitize=address,undefined
echo 'int main(void) { return 0; }' >trial.c
# shellcheck disable=SC2086 # CC may have options
$CC $sanitize trial.c -o trial 2>/dev/null || sanitize=

# shellcheck disable=SC2046,SC2086 # lists of options
build() { # program, library...
    program=$1
    shift
    $CC -g -Wall -Wextra -Werror $sanitize $(pkg-config --cflags vhd) user.c -o "$program" "$@" \
        >said 2>&1 || fail "$program: $(cat said)"
}
# shellcheck disable=SC2046 # a list of options
build shared $(pkg-config --libs vhd)
# shellcheck disable=SC2086 # a list of options
build static "$folder/libvhd.a" $private

for program in shared static; do
    mkdir "$program-run"
    (cd "$program-run" && LD_LIBRARY_PATH=$folder "../$program") >said 2>&1 ||
        fail "$program: $(cat said)"
done

# It calls everything.
names() {
    awk '{ sub(/@.*/, "", $NF); print $NF }' | grep -E '^(lib)?vhdi?_' | sort -u
}
nm -D --defined-only "$folder/libvhd.so.2" | grep ' T ' | names >exported
nm -D --undefined-only shared | names >called
diff exported called || fail "not everything that is exported is called (<)"
