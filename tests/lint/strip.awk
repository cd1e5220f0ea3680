# SPDX-License-Identifier: BSD-2-Clause
# strip.awk - C without its comments and without what is inside its strings; every line stays, and
# with -v where=yes says its place before it, as "file:line:".
FNR == 1 { in_comment = 0 }
{
	out = ""
	quote = ""
	n = length($0)
	for (i = 1; i <= n; i++) {
		c = substr($0, i, 1)
		two = substr($0, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			}
		} else if (quote != "") {
			if (c == "\\")
				i++
			else if (c == quote) {
				quote = ""
				out = out c
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//") {
			break
		} else {
			if (c == "\"" || c == "'")
				quote = c
			out = out c
		}
	}
	print (where ? FILENAME ":" FNR ":" : "") out
}
