#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build the rpm packages from the tarball, let rpmlint look at them, and compare their files with
# those of the debs.
#
#     tests/packages/rpms.sh TARBALL FOLDER-OF-DEBS OUT
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tarball=$(readlink -f "$1")
debs=$(readlink -f "$2")
mkdir -p "$3"
out=$(cd "$3" && pwd)
rm -rf "$out/top"

# This system's packages are no rpms, so rpm cannot know that they are there.
rpmbuild -ta --nodeps --quiet --define "_topdir $out/top" "$tarball"
rpmlint --config "$here/rpmlint.toml" "$out"/top/RPMS/*/*.rpm "$out"/top/SRPMS/*.rpm
PYTHONDONTWRITEBYTECODE=1 python3 -W error "$here/compare_packages.py" "$debs" "$out"/top/RPMS
