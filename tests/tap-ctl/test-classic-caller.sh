#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A program that was written for the classic library works with ours.
. "${top_srcdir:=.}/tests/functions.sh"

truncate -s 4M "$tmp/disk.img"
"$top_builddir/tests/tap-ctl/classic-caller" "$tmp/disk.img" || fail "see above"
nothing_left
