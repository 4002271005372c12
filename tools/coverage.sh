#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Line and branch coverage of module/ by the selftests, on the gcov kernel. The
# report is build/check-gcov/html/index.html. Each line that no test reached has
# its reason in tools/coverage.reasons; one without fails the run. After a run
# of everything, figures and reasons are written to Documentation/coverage.md.
# Arguments go to selftests/run.sh.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

# Least line coverage of the whole module, in percent.
goal=90

in_machine()
{
	local data=/sys/kernel/debug/gcov file

	run_suite "$@"
	# The kernel keeps the counters of a module that has gone, so that its
	# exit functions count too.
	remove_module
	(cd "$data" && find . -name '*.gcda') | while read -r file; do
		mkdir -p "$output/data/${file%/*}"
		cat "$data/$file" > "$output/data/$file"
	done
	finish
}

# The counters, joined with the notes that the compiler left.
collect()
{
	local file

	(cd "$output/data" && find . -name '*.gcda') | while read -r file; do
		file=${file#.}
		cp "${file%.gcda}.gcno" "$output/data/${file%/*}/"
	done
	lcov --quiet --capture --directory "$output/data" --base-directory "$objects" \
		--rc lcov_branch_coverage=1 --output-file "$output/all.info"
	lcov --quiet --extract "$output/all.info" '*/module/*' \
		--rc lcov_branch_coverage=1 --output-file "$output/module.info"
	genhtml --quiet --branch-coverage --legend --title ferry \
		--output-directory "$output/html" "$output/module.info"
}

# A line for each file and one for all: lines, branches, functions in percent.
table()
{
	awk -F'[:,]' '
	function percent(hit, all) {
		return all ? sprintf("%5.1f %% of %4d", 100 * hit / all, all) : "         none"
	}
	function row(name) {
		printf "%-24s %s  %s  %s\n", name, percent(l[name, "h"], l[name, "f"]),
			percent(b[name, "h"], b[name, "f"]), percent(f[name, "h"], f[name, "f"])
	}
	function add(a, what) { a[file, what] += $2; a["all", what] += $2 }
	/^SF:/ { n = split($2, part, "/"); file = part[n]; if (!seen[file]++) names[++files] = file }
	/^LF:/ { add(l, "f") } /^LH:/ { add(l, "h") }
	/^BRF:/ { add(b, "f") } /^BRH:/ { add(b, "h") }
	/^FNF:/ { add(f, "f") } /^FNH:/ { add(f, "h") }
	END {
		printf "%-24s %-15s  %-15s  %-15s\n", "file", "lines", "branches", "functions"
		for (i = 1; i <= files; i++)
			row(names[i])
		row("all")
	}' "$output/module.info"
}

# "file TAB function TAB text" for every line that no test reached. What only
# leaves is told by the line before as well: "goto out;" there are many.
list_uncovered()
{
	awk -F'[:,]' '
	/^SF:/ {
		path = substr($0, 4); file = path; sub(/.*\//, "", file)
		delete source; delete start; n = functions = 0
		while ((getline text < path) > 0) {
			gsub(/^[ \t]+|[ \t]+$/, "", text)
			source[++n] = text
		}
		close(path)
	}
	/^FN:/ { start[++functions] = $2; name[functions] = $NF }
	/^DA:/ && $3 == 0 {
		where = "?"; best = 0
		for (i = 1; i <= functions; i++)
			if (start[i] <= $2 && start[i] > best) {
				best = start[i]; where = name[i]
			}
		text = source[$2]
		if (text ~ /^(goto|return|break|continue)/)
			text = source[$2 - 1] " " text
		print file "\t" where "\t" text
	}' "$output/module.info"
}

# What is committed of it.
write_page()
{
	{
		echo
		sed 's/^/    /' "$output/table"
		echo
		"$top/tools/reasons.sh" list "$output/reasons"
	} | "$top/tools/reasons.sh" section "$top/Documentation/coverage.md" coverage
}

judge()
{
	local lines

	if ! collect 2> "$output/lcov.log"; then
		result 1 "coverage was collected" "$output/lcov.log"
		return
	fi
	table | tee "$output/table"
	lines=$(awk -F: '/^LF:/ { all += $2 } /^LH:/ { hit += $2 }
		END { print all ? int(1000 * hit / all) : 0 }' "$output/module.info")
	result $((lines < goal * 10)) \
		"line coverage $((lines / 10)).$((lines % 10)) %, at least $goal % wanted"
}

judge_all()
{
	judge
	[[ -e $output/table ]] || return 0
	list_uncovered > "$output/uncovered"
	judge_reasons tools/coverage.reasons "each uncovered line" "$output/uncovered"
	write_page
}

if [[ ${1:-} == --in-machine ]]; then
	output=$2
	shift 2
	in_machine "$@"
else
	command -v lcov >/dev/null || { say "lcov is not installed (tools/setup.sh debug)"; exit 1; }
	prepare gcov GCOV_PROFILE=y
	run_machine "$top/tools/coverage.sh" --in-machine "$output" "$@"
	if (($#)); then
		judge
	else
		judge_all
	fi
	finish
fi
