# SPDX-License-Identifier: BSD-2-Clause
# calls.awk - the calls that may not be made where they are: reads the table of forbidden.txt, then
# lines as strip.awk says them with their places.

# Do these prefixes hold for the file?
function applies(list, file,   i, n, prefix, yes) {
	n = split(list, prefix, " ")
	yes = 0
	for (i = 1; i <= n; i++)
		if (prefix[i] ~ /^!/) {
			if (index(file, substr(prefix[i], 2)) == 1)
				return 0
		} else if (index(file, prefix[i]) == 1)
			yes = 1
	return yes
}

FNR == NR {
	if (/^[^#]/) {
		split($0, column, "\t")
		name[++rules] = column[1]
		prefixes[rules] = column[2]
	}
	next
}

$1 != file {
	file = $1
	patterns = 0
	for (i = 1; i <= rules; i++)
		if (applies(prefixes[i], file))
			pattern[++patterns] = "[^A-Za-z0-9_>.](" name[i] ")[ \t]*\\("
}

{
	# With the colon before it, so that a call may begin the line.
	text = substr($0, length($1 FS $2) + 1)
	for (i = 1; i <= patterns; i++)
		if (match(text, pattern[i])) {
			call = substr(text, RSTART, RLENGTH)
			gsub(/[^A-Za-z0-9_]/, "", call)
			print $1 ":" $2 ": calls " call "()"
		}
}
