#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The control directory is private, or it is not used.
. "${top_srcdir:=.}/tests/functions.sh"

BLKTAP_CONTROL_DIR=relative expect_exit 22 tap-ctl list
long=/$(printf '%080d' 0)
BLKTAP_CONTROL_DIR=$long expect_exit 36 tap-ctl list
BLKTAP_CONTROL_DIR=$tmp/a/b/c expect_exit 0 tap-ctl allocate
test "$(stat -c %a "$tmp/a/b/c")" = 700 || fail "mode of the directory"

mkdir -m 770 "$tmp/open"
BLKTAP_CONTROL_DIR=$tmp/open expect_exit 1 tap-ctl allocate
mkdir -m 700 "$tmp/private"
ln -s "$tmp/private" "$tmp/link"
BLKTAP_CONTROL_DIR=$tmp/link expect_exit 1 tap-ctl allocate
if test "$(id -u)" -eq 0; then
    mkdir -m 700 "$tmp/foreign"
    chown 65534 "$tmp/foreign"
    BLKTAP_CONTROL_DIR=$tmp/foreign expect_exit 1 tap-ctl allocate
fi

# Who may not read it hears so: an empty list would say that nothing is served.
mkdir "$tmp/closed"
chmod 000 "$tmp/closed"
chmod 711 "$tmp"
if unprivileged test -x "$(command -v tap-ctl)"; then
    BLKTAP_CONTROL_DIR=$tmp/closed expect_exit 13 unprivileged tap-ctl list
    BLKTAP_CONTROL_DIR=$tmp/none expect_exit 0 unprivileged tap-ctl list
fi
