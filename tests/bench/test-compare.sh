#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bench/compare measures what is there, names what is not, and leaves nothing behind, also when it is
# interrupted.
set -eu

compare=${top_srcdir:?}/bench/compare
build=${top_builddir:?}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/compare.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$tmp/disk" "$tmp/scratch"
echo "$tmp/disk/" > "$tmp/images" # a pattern in a file is on no command line, not even on grep's

fail()
{
	echo "FAIL: $*"
	exit 1
}

run()
{
	TMPDIR=$tmp/scratch "${PYTHON:-python3}" "$compare" --build "$build" --where disk \
		--disk-dir "$tmp/disk" --size 8 --seconds 0.02 --rounds 2 "$@"
}

nothing_left()
{
	[ -z "$(find "$tmp/disk" "$tmp/scratch" -mindepth 1)" ] || fail "$1: files are left behind"
	! cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\0' '\n' | grep -F -f "$tmp/images" ||
		fail "$1: processes are left behind"
}

run --cases 'randread-4k-d32,flush*' --json > "$tmp/report" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
"${PYTHON:-python3}" - "$tmp/report" <<'EOF' || fail "$(cat "$tmp/report")"
import json, sys
report = json.load(open(sys.argv[1]))
assert not report["failures"], report["failures"]
servers = {"tapdisk2", "qemu-nbd", "nbdkit"} - set(report["missing"])
assert "tapdisk2" in servers
expected = {(server, case) for server in servers for case in ("randread-4k-d32", "flush-4k-d1")}
assert {(row["server"], row["case"]) for row in report["results"]} == expected
for row in report["results"]:
    assert row["image"] == "raw" and row["location"] == "disk" and len(row["rounds"]) == 2
    assert set(row["medians"]) == {"iops", "mib", "p50", "p99", "cpu", "client"}
    assert all(value > 0 for value in row["medians"].values()), row
EOF
nothing_left "a run"

run --cases randread-4k-d32 --only tapdisk2 --engine threads > "$tmp/out" 2> "$tmp/err" &&
	fail "an engine that was not asked for is a server"
run --cases randread-4k-d32 --only 'tapdisk2 (threads)' --engine threads > "$tmp/out" 2> "$tmp/err" ||
	fail "$(cat "$tmp/err")"
grep -q '^  tapdisk2 (threads) *[0-9]' "$tmp/out" || fail "no table: $(cat "$tmp/out")"

# One that cannot be started is told of, the others are measured, and the status says so.
mkdir "$tmp/bin"
printf '#!/bin/sh\necho no luck today >&2\nexit 3\n' > "$tmp/bin/nbdkit"
chmod +x "$tmp/bin/nbdkit"
status=0
PATH=$tmp/bin:$PATH run --cases randread-4k-d32 --only tapdisk2,nbdkit > "$tmp/out" || status=$?
[ "$status" = 1 ] || fail "a server that does not start: exit $status"
grep -q '^note: failed: nbdkit: raw on disk: no luck today$' "$tmp/out" || fail "$(cat "$tmp/out")"
grep -q '^  tapdisk2 *[0-9]' "$tmp/out" || fail "no table: $(cat "$tmp/out")"

for wrong in --cases=none --only=none --images=none --where=none --rounds=0 --seconds=0 \
	--build=/nonexistent; do
	status=0
	run "$wrong" > "$tmp/out" 2>&1 || status=$?
	[ "$status" = 2 ] || fail "$wrong: exit $status"
done

# Interrupted while one server runs and the next is started, which sends the signal itself.
# shellcheck disable=SC2016 # for the script
printf '#!/bin/sh\nkill -TERM "$PPID"\nexec tail --pid="$PPID" -f /dev/null\n' > "$tmp/bin/nbdkit"
status=0
PATH=$tmp/bin:$PATH run --only tapdisk2,nbdkit > "$tmp/out" 2>&1 || status=$?
[ "$status" = 130 ] || fail "interrupted: exit $status: $(cat "$tmp/out")"
nothing_left "an interrupted run"
