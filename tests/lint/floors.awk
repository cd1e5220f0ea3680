# SPDX-License-Identifier: BSD-2-Clause
# floors.awk - name every include that its file may not have.
# usage: awk -f floors.awk floors.txt FILE...
function floor_of(path,   prefix, best) {
	best = ""
	for (prefix in may)
		if (index(path, prefix) == 1 && length(prefix) > length(best))
			best = prefix
	return best
}

function listed(path, list,   i, n, allowed) {
	n = split(list, allowed, " ")
	for (i = 1; i <= n; i++)
		if (index(path, allowed[i]) == 1)
			return 1
	return 0
}

function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad = 1
}

FNR == NR {
	if (NF == 0 || $1 ~ /^#/)
		next
	rest = $0
	sub(/^[^ ]+ +/, "", rest)
	if ($1 ~ /^</)
		only[$1] = rest
	else
		may[$1] = rest
	next
}

FNR == 1 {
	here = floor_of(FILENAME)
	if (here == "")
		complain("no row of the table of floors covers this file")
}

/^[ \t]*#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*/, "", name)
	for (prefix in only)
		if (index(name, prefix) == 1 && !listed(FILENAME, only[prefix]))
			complain("only " only[prefix] " may include " prefix "...>")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	name = quoted[2]
	if (name == "config.h")
		next
	if (name !~ /\//)
		complain("write the folder of \"" name "\"")
	else if (index(name, "include/") == 1)
		complain("a contract is included as users do it: <" substr(name, 9) ">")
	else if (floor_of("blktap2/" name) != here && floor_of(name) != here && !listed(name, may[here]))
		complain(here " may not include " name)
}

END { exit bad }
