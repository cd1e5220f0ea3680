# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What the trials share: they run inside a small system that is thrown away afterwards.
#
# /trial/new has the packages, /trial/old the same under an older version.
set -eu
cd /trial

fail() {
    echo "FAILED: $*"
    exit 1
}

install_debs() { # FOLDER
    apt-get -q -y --no-install-recommends install /trial/"$1"/*.deb
}

installed_packages() {
    for deb in /trial/new/*.deb; do
        dpkg-deb -f "$deb" Package
    done
}

# A service manager that only writes down what it is asked for.
fake_systemd() {
    rm -f /usr/sbin/policy-rc.d
    mkdir -p /run/systemd/system
    cat >/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/trial/systemctl.log
END
    chmod +x /usr/bin/systemctl
    : >/trial/systemctl.log
}

# Every file of the system, but for what package managers note for themselves.
all_files() {
    find / -xdev \( -path /proc -o -path /trial -o -path /tmp -o -path /var/cache -o -path /var/lib/dpkg \
        -o -path /var/lib/apt -o -path /var/log/apt -o -path /var/log/dpkg.log \
        -o -path /var/log/alternatives.log -o -path /usr/lib/systemd -o -path /var/lib/systemd \) -prune \
        -o -print | grep -vE '/__pycache__(/|$)|^/run(/|$)|/etc/ld.so.cache' | sort
}

# A VHD with a client that writes, reads back and compares until it is told to stop.
serve() {
    vhd-util create -n /trial/disk.vhd -s 32
    open_disk /trial/disk.vhd
    rm -f /trial/stop /trial/writes /trial/expected
    python3 /trial/client.py "$(tap-ctl nbd-uri -p "$pid" -m "$minor")" \
        /trial/writes /trial/stop /trial/expected &
    client=$!
    wait_for test -s /trial/writes
}

open_disk() { # IMAGE
    marker=$(tap-ctl create -a "vhd:$1")
    minor=${marker##*-}
    pid=$(tap-ctl list -m "$minor" | sed -n 's/^pid=\([0-9]*\) .*/\1/p')
}

close_disk() {
    tap-ctl destroy -p "$pid" -m "$minor"
    wait_for test ! -e "/proc/$pid/exe"
}

# With nobody serving it: the image is in order, and holds what the client wrote and nothing else.
expect_bytes() { # IMAGE
    vhd-util check -n "$1" || fail "vhd-util check $1"
    open_disk "$1"
    nbdcopy "$(tap-ctl nbd-uri -p "$pid" -m "$minor")" /trial/found
    close_disk
    cmp /trial/expected /trial/found || fail "$1 holds other bytes"
    rm /trial/found
}

wait_for() {
    turns=0
    until "$@"; do
        turns=$((turns + 1))
        test $turns -lt 3000 || fail "waited in vain for: $*"
        timeout 0.02 tail -f /dev/null || :
    done
}

# The client has gone on since, over its old connection.
still_served() {
    test -e "/proc/$pid/exe" || fail "$1: the tapdisk is gone"
    rm /trial/writes
    wait_for test -s /trial/writes
}

stop_client() {
    touch /trial/stop
    wait "$client" || fail "the client has seen an error"
}
