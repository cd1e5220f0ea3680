#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run a command where /srv, /run, the logs and shared memory are empty folders of its own, and nothing
# that it starts outlives it.
#
#     tests/manuals/sandbox.sh FOLDER COMMAND...
set -eu

place=$1
shift
mkdir -p "$place/srv" "$place/run" "$place/log"
export place
# shellcheck disable=SC2016 # for the shell inside
exec unshare --mount --pid --fork --kill-child --mount-proc sh -ec '
    mkdir -p /srv /var/log/blktap
    mount --bind "$place/srv" /srv
    mount --bind "$place/log" /var/log/blktap
    mount --bind "$place/run" /run
    mount -t tmpfs blktap2 /dev/shm
    exec "$@"' sh "$@"
