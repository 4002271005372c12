#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Places of the module that no test reaches, and why. A place is a line's text
# in a function of a file (or that and the line before), never its number, so that
# an edit elsewhere changes nothing. A file of reasons has one a line, tabs between:
#
#	file	function	text	reason	(a reason of " is that of the line before)

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage()
{
	cat <<-END
	usage: reasons.sh join REASONS PLACES    PLACES (file, function, text) with their
	                                         reasons, an empty one where there is none
	       reasons.sh stale REASONS          reasons for text that is no longer there
	       reasons.sh list JOINED            what join printed, as a list for people
	       reasons.sh table PLACES           places that need none, the same way
	       reasons.sh section PAGE NAME      standard input becomes what stands in PAGE
	                                         between <!-- NAME --> and <!-- NAME end -->
	END
}

# Reasons with every " replaced, comments left out.
reasons()
{
	awk -F'\t' -v OFS='\t' '/^#/ || NF < 4 { next } $4 == "\"" { $4 = last } { last = $4; print }' "$1"
}

join_reasons()
{
	awk -F'\t' -v OFS='\t' '!places { why[$1, $2, $3] = $4; next }
		{ print $1, $2, $3, why[$1, $2, $3] }' <(reasons "$1") places=1 "$2"
}

# The text has to be in the file; in which function, the compiler says.
stale()
{
	local file text

	reasons "$1" | cut -f 1,3 | while IFS=$'\t' read -r file text; do
		awk '{ gsub(/^[ \t]+|[ \t]+$/, ""); print; print last " " $0; last = $0 }' \
			"$top/module/$file" | grep -xF -- "$text" > /dev/null ||
			printf '%s\t%s\n' "$file" "$text"
	done
}

# Lines of one function with one reason stand together.
list()
{
	awk -F'\t' '
	$1 SUBSEP $2 SUBSEP $4 != key {
		printf "%s* `%s`, `%s()`: %s\n\n", (NR > 1 ? "\n" : ""), $1, $2, ($4 ? $4 : "no reason given")
		key = $1 SUBSEP $2 SUBSEP $4
	}
	{ print "      " $3 }' "$1"
}

table()
{
	awk -F'\t' '
	$1 SUBSEP $2 != key { printf "%s* `%s`, `%s()`\n\n", (NR > 1 ? "\n" : ""), $1, $2; key = $1 SUBSEP $2 }
	{ print "      " $3 }' "$1"
}

section()
{
	local page=$1 name=$2 new

	grep -qx "<!-- $name -->" "$page" || { echo "reasons.sh: $page has no section $name" >&2; exit 1; }
	new=$(mktemp)
	awk -v name="$name" '
	$0 == "<!-- " name " end -->" { inside = 0 }
	!inside
	$0 == "<!-- " name " -->" {
		while ((getline line < "/dev/stdin") > 0)
			print line
		print ""
		inside = 1
	}' "$page" > "$new"
	cat "$new" > "$page"
	rm -f "$new"
}

case ${1:-} in
join) join_reasons "$2" "$3" ;;
stale) stale "$2" ;;
list) list "$2" ;;
table) table "$2" ;;
section) section "$2" "$3" ;;
-h | --help | help) usage ;;
*) usage >&2; exit 2 ;;
esac
