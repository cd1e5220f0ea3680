# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# The system in which packages are tried; to be sourced after scripts/chroots.sh.

# With the updates that this machine may have, too: packages that are built against those need them.
updates_of() { # SUITE
    echo "deb $(chroot_mirror) $1-updates main"
    # shellcheck disable=SC2016 # for apt-get
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        grep -E '/debian-security/?$' | head -n 1 | sed "s,.*,deb & $1-security main,"
}

# Print the path of a system that has what the packages and the trials need; never change it.
trial_system() { # SUITE
    trials=$BLKTAP_CHROOTS/$1-trials
    if ! test -e "$trials/.trials"; then
        chroot_copy "$(chroot_base "$1")" "$trials"
        updates_of "$1" >"$trials/etc/apt/sources.list.d/updates.list"
        {
            chroot_in "$trials" apt-get -q -y update &&
                chroot_in "$trials" apt-get -q -y --no-install-recommends install \
                    logrotate python3-minimal python3-libnbd libnbd-bin libaio-dev libjson-c-dev \
                    liburing-dev libssl-dev libxen-dev xen-utils-common &&
                chroot_in "$trials" apt-get -q -y purge xen-utils-common
        } >&2 || return
        touch "$trials/.trials"
    fi
    echo "$trials"
}
