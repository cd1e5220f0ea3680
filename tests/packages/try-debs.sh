#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Try packages in a small system of their own: what apt and the maintainer scripts do to a host.
#
#     tests/packages/try-debs.sh FOLDER TRIAL
#
# FOLDER has the packages; TRIAL is the name of a script in tests/packages/debs.  The system is one of
# the release that this machine runs, or of SUITE.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
debs=$1
trial=$2
. "$top/scripts/chroots.sh"
: "${BLKTAP_CHROOTS:=$top/build/chroots}"
: "${SUITE:=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}"

. "$here/system.sh"
ready=$(trial_system "$SUITE")

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM
chroot_copy "$ready" "$root/system"

# ---- these packages, and the same ones under an older version ----------------------------------------

system=$root/system
mkdir "$system/trial" "$system/trial/new" "$system/trial/old"
for deb in "$debs"/*.deb; do
    case $deb in
    *-dbgsym_*) continue ;;
    esac
    cp "$deb" "$system/trial/new/"
    rm -rf "$root/deb"
    dpkg-deb -R "$deb" "$root/deb"
    version=$(dpkg-deb -f "$deb" Version)
    sed -i -e "s/^Version: .*/&~old/" -e "s/(= $version)/(= $version~old)/g" "$root/deb/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$root/deb" "$system/trial/old/" >/dev/null
done
cp "$here"/debs/* "$system/trial/"
chroot_in "$system" sh -e "/trial/$trial"
