#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Scripts are as shellcheck wants them.
. "$(dirname "$0")/lint.sh"

command -v shellcheck >/dev/null || skip "no shellcheck"
scripts | xargs shellcheck
