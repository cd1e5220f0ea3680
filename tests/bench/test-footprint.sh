#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bench/footprint reports every figure, and all its disks are gone afterwards.
set -eu

footprint=${top_srcdir:?}/bench/footprint
build=${top_builddir:?}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/footprint.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$tmp/scratch"
echo "$tmp/scratch/" > "$tmp/control" # a pattern in a file is on no command line, not even on grep's

fail()
{
	echo "FAIL: $*"
	exit 1
}

run()
{
	TMPDIR=$tmp/scratch "${PYTHON:-python3}" "$footprint" --build "$build" --disks 4 --creates 2 "$@"
}

run --json > "$tmp/report" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
"${PYTHON:-python3}" - "$tmp/report" <<'EOF' || fail "$(cat "$tmp/report")"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["disks"] == 4
assert set(report) == {"idle_rss_kib", "idle_private_kib", "create_ms", "create_max_ms", "disks",
                       "disks_create_ms", "disks_create_max_ms", "disks_private_kib"}, report
assert all(value > 0 for value in report.values()), report
EOF
[ -z "$(find "$tmp/scratch" -mindepth 1)" ] || fail "files are left behind"
! cat /proc/[0-9]*/environ 2> /dev/null | tr '\0' '\n' | grep -F -f "$tmp/control" ||
	fail "processes are left behind"

run > "$tmp/out" || fail "$(cat "$tmp/out")"
grep -q '^tap-ctl create *[0-9.]* ms, at most [0-9.]* ms$' "$tmp/out" || fail "$(cat "$tmp/out")"

for wrong in --disks=0 --creates=0 --build=/nonexistent; do
	status=0
	run "$wrong" > "$tmp/out" 2>&1 || status=$?
	[ "$status" = 2 ] || fail "$wrong: exit $status"
done
