#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run the tests of debian/tests against packages, in a system of their own.
#
#     tests/packages/autopkgtest.sh FOLDER
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
debs=$1
. "$top/scripts/chroots.sh"
: "${BLKTAP_CHROOTS:=$top/build/chroots}"
: "${SUITE:=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}"

. "$top/tests/packages/system.sh"
ready=$(trial_system "$SUITE")
system=$(mktemp -d)
trap 'rm -rf "$system"' EXIT
trap 'exit 1' HUP INT TERM
chroot_copy "$ready" "$system/root"
autopkgtest -B "$debs"/*.deb "$debs"/*.dsc -- chroot "$system/root"
