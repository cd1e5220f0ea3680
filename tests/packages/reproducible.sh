#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The packages do not depend on where, when and in which language they are built: build them once
# more, elsewhere, and compare.
#
#     tests/packages/reproducible.sh TARBALL FOLDER
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
tarball=$1
first=$2
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
trap 'exit 1' HUP INT TERM

mkdir "$again/elsewhere" "$again/out"
umask 027
TMPDIR="$again/elsewhere" TZ=Pacific/Kiritimati LC_ALL=C LANG=C HOME="$again/home" USER=somebody \
    "$top/scripts/build-debs" --tarball "$tarball" "$again/out"
status=0
for deb in "$first"/*.deb; do
    cmp "$deb" "$again/out/${deb##*/}" || status=1
done
test "$(cd "$first" && ls ./*.deb)" = "$(cd "$again/out" && ls ./*.deb)" || status=1
exit $status
