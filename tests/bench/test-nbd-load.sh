#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nbd-load answers for what it measures: every request counted once, wrong replies noticed, and the same
# report from every server.
set -eu

load=${top_builddir:?}/bench/nbd-load
memory=$top_builddir/tests/bench/nbd-memory
tmp=$(mktemp -d "${TMPDIR:-/tmp}/nbd-load.XXXXXX")
server=
at_exit()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$tmp"
}
trap at_exit EXIT
trap 'exit 1' HUP INT TERM

fail()
{
	echo "FAIL: $*"
	exit 1
}

# check_report OP REQUESTS: the report in $tmp/report has every member, of the right kind, and adds up.
cat > "$tmp/check.py" <<'EOF'
import json, sys
op, requests = sys.argv[1], int(sys.argv[2])
report = json.load(open(sys.argv[3]))
latency = {"requests": int, "p50_us": float, "p99_us": float, "max_us": float}
whole = dict(latency, seconds=float, iops=float, mib_per_s=float, server_cpu_us=float,
             client_cpu_us=float, client_busy=float, read=dict, write=dict, flush=dict)

def check(object, members):
    assert set(object) == set(members), (sorted(object), sorted(members))
    for name, kind in members.items():
        assert isinstance(object[name], kind), (name, object[name])
    assert 0 <= object["p50_us"] <= object["p99_us"] <= object["max_us"], object

check(report, whole)
kinds = {kind: report[kind]["requests"] for kind in ("read", "write", "flush")}
for kind in kinds:
    check(report[kind], latency)
assert report["requests"] == requests == sum(kinds.values()), report
expected = {"read": ["read"], "write": ["write"], "flush": ["flush"], "mixed": ["read", "write"],
            "write+flush": ["write", "flush"]}[op]
assert sorted(kind for kind in kinds if kinds[kind]) == sorted(expected), kinds
assert report["seconds"] > 0 and report["iops"] > 0 and report["server_cpu_us"] >= 0
assert (report["mib_per_s"] == 0) == (op == "flush")
EOF
check_report()
{
	"${PYTHON:-python3}" "$tmp/check.py" "$1" "$2" "$tmp/report" || fail "report: $1: $(cat "$tmp/report")"
}

# run_all SOCKET PID: every kind of load once, some hundred requests each.
cat > "$tmp/run-all" <<EOF
set -eu
socket=\$1 pid=\$2
try()
{
	"$load" --json --pid "\$pid" "\$@" "\$socket" > "$tmp/\$name.json"
}
name=read; try --op read --depth 32 --requests 500
name=sequential; try --op read --sequential --block-size 128K --depth 16 --requests 300 --poll
name=mixed; try --op mixed --depth 32 --requests 500 --read-percent 70 --warm-up 0.01
name=flush; try --op flush --depth 4 --requests 100
name=write; try --op write --sequential --block-size 64K --depth 7 --requests 300
name=each; try --op write --flush-every 1 --requests 100
EOF
check_all()
{
	while read -r name op requests; do
		mv "$tmp/$name.json" "$tmp/report" || fail "$1: no report of $name"
		check_report "$op" "$requests"
	done <<-EOF
	read read 500
	sequential read 300
	mixed mixed 500
	flush flush 100
	write write 300
	each write+flush 100
	EOF
	echo "served by $1"
}

# shellcheck disable=SC2016 # for the inner shell
"$memory" "$tmp/socket" sh -c 'sh "$0" "$1" $PPID' "$tmp/run-all" "$tmp/socket"
check_all nbd-memory

# A wrong reply ends the run, is named, and leaves no report behind.
while read -r fault text; do
	status=0
	"$memory" "--$fault" "$tmp/socket" "$load" --depth 32 --requests 500 "$tmp/socket" \
		> "$tmp/out" 2> "$tmp/err" || status=$?
	[ "$status" = 1 ] || fail "--$fault: exit $status"
	[ ! -s "$tmp/out" ] || fail "--$fault: a report in spite of it"
	grep -q "^nbd-load: $tmp/socket: $text" "$tmp/err" || fail "--$fault: $(cat "$tmp/err")"
done <<EOF
error reply: the server failed a read: NBD error 5
cookie reply: to no request of ours
magic reply: wrong magic 0x00000000
close the server closed the connection
EOF

status=0
"$load" --requests 1 "$tmp/none" 2> "$tmp/err" || status=$?
[ "$status" = 1 ] || fail "no server: exit $status"
grep -q "connect: No such file" "$tmp/err" || fail "no server: $(cat "$tmp/err")"
for wrong in --depth=0x1 --depth=513 --block-size=33M --block-size=K --op=erase --cpu=-1 --pid=0 \
	--seconds=-1 --requests=0 --nonsense; do
	status=0
	"$load" "$wrong" "$tmp/none" > "$tmp/out" 2>&1 || status=$?
	[ "$status" = 22 ] || fail "$wrong: exit $status"
done

if nbdkit --version > /dev/null 2>&1; then
	# shellcheck disable=SC2016 # nbdkit sets it
	nbdkit -f -U - -P "$tmp/pid" memory 64M \
		--run 'sh "'"$tmp"'/run-all" "$unixsocket" "$(cat "'"$tmp"'/pid")"'
	check_all nbdkit
fi

# On a file one can also see that every block of a sequential load was written, all with the same data.
if qemu-nbd --version > /dev/null 2>&1; then
	truncate -s 16M "$tmp/disk"
	qemu-nbd --fork --persistent --pid-file="$tmp/pid" --socket="$tmp/qemu" -f raw "$tmp/disk"
	server=$(cat "$tmp/pid")
	sh "$tmp/run-all" "$tmp/qemu" "$server"
	check_all qemu-nbd
	"$load" --op write --sequential --depth 32 --requests 4096 "$tmp/qemu" > /dev/null
	"${PYTHON:-python3}" - "$tmp/disk" <<-EOF || fail "the disk is not what was written"
	import sys
	data = open(sys.argv[1], "rb").read()
	assert data == data[:4096] * 4096 and len(set(data[:4096])) > 200
	EOF
fi
