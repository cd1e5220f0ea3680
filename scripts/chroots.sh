# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# Small Debian systems to build and try packages in; to be sourced.  They need root.
#
# variables
#     BLKTAP_CHROOTS         where the systems are kept between runs (the caller sets it)
#
# functions
#     chroot_mirror          print the mirror that this machine's apt uses
#     chroot_base SUITE      make sure that there is a minimal system, and print its path; never
#                            change it, but copy it
#     chroot_copy FROM TO    copy a system
#     chroot_in DIR COMMAND...
#                            run COMMAND in the system, with processes and mounts of its own: whatever
#                            it leaves running ends with it

chroot_mirror() {
    # shellcheck disable=SC2016 # for apt-get
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        grep -E '/debian/?$' | head -n 1 | sed 's,/$,,' | grep . || echo http://deb.debian.org/debian
}

chroot_base() {
    chroot_dir=$BLKTAP_CHROOTS/$1
    test ! -e "$chroot_dir/.complete" || {
        echo "$chroot_dir"
        return
    }
    rm -rf "$chroot_dir"
    mkdir -p "$BLKTAP_CHROOTS"
    # debootstrap asks neither for a terminal nor for the rest of this machine.
    debootstrap --variant=minbase "$1" "$chroot_dir" "$(chroot_mirror)" \
        >"$chroot_dir.log" 2>&1 </dev/null || {
        tail -n 5 "$chroot_dir.log" >&2
        return 1
    }
    printf '#!/bin/sh\nexit 101\n' >"$chroot_dir/usr/sbin/policy-rc.d"
    chmod +x "$chroot_dir/usr/sbin/policy-rc.d"
    # Nothing in there has to outlive a power cut.
    echo force-unsafe-io >"$chroot_dir/etc/dpkg/dpkg.cfg.d/unsafe-io"
    apt-config dump | grep -i '^Acquire::.*proxy' >"$chroot_dir/etc/apt/apt.conf.d/90host" || :
    chroot_in "$chroot_dir" apt-get -q -q update >>"$chroot_dir.log" 2>&1 || return 1
    touch "$chroot_dir/.complete"
    echo "$chroot_dir"
}

chroot_copy() {
    rm -rf "$2"
    mkdir -p "$(dirname "$2")"
    cp -a --reflink=auto "$1" "$2"
}

chroot_in() {
    chroot_root=$1
    shift
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        unshare --mount --pid --fork --kill-child --mount-proc="$chroot_root/proc" \
        chroot "$chroot_root" "$@"
}
