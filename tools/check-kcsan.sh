#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The selftests on the KCSAN kernel. A data race is a failure when one of its two
# accesses is unmarked and is made by a function of the module or by one that it
# calls, unless tools/vm/kcsan.known gives the reason why it is the kernel's own.
# Deeper down the core races with itself, whoever calls it; a marked access is
# what the module owes. What an interrupt does is not done by the function that
# it interrupts. Arguments go to selftests/run.sh.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

kcsan=/sys/kernel/debug/kcsan

in_machine()
{
	local log=$output/dmesg follower

	# Races in the rest of the kernel are many and not ours: they must not
	# reach the console, where every report ends the run as failed. A panic
	# raises the level again by itself.
	dmesg -n 1
	dmesg --follow > "$log" &
	follower=$!
	echo on > "$kcsan"
	run_suite "$@"
	remove_module
	echo off > "$kcsan"
	# How much was watched: without watchpoints, silence means nothing.
	sed -n 's/^\(setup_watchpoints\|data_races\): /# &/p' "$kcsan"
	echo "check-kcsan: the end" > /dev/kmsg
	# The follower has read everything when it has read the line above.
	until grep -q 'check-kcsan: the end' "$log"; do
		kill -0 "$follower"
	done
	kill "$follower"
	finish
}

# One line a race: ours, known or core, how often, title. The reports of ours
# go to $output/races, once each.
sort_races()
{
	awk -v known="$top/tools/vm/kcsan.known" -v races="$output/races" '
	function done(	class, i) {
		class = ours ? "ours" : "core"
		for (i = 1; class == "ours" && i <= patterns; i++)
			if (title ~ pattern[i])
				class = "known"
		if (class == "ours" && !count[class, title])
			print block > races
		count[class, title]++
		inside = 0
	}
	BEGIN {
		while ((getline line < known) > 0)
			if (line !~ /^#/ && split(line, field, "\t") > 1)
				pattern[++patterns] = field[1]
	}
	{ sub(/^\[[^]]*\] /, "") }
	/BUG: KCSAN: / {
		inside = 1; block = ""; ours = 0
		title = $0; sub(/.*BUG: KCSAN: /, "", title)
	}
	inside { block = block $0 "\n" }
	/ of [0-9]+ bytes by / { frames = /\(marked/ ? 0 : 2; next }
	# Innermost first: what stands below its entry was interrupted.
	/ asm_(sysvec_|common_interrupt|spurious_interrupt)/ { frames = 0 }
	inside && frames-- > 0 && /\[ferry\]/ { ours = 1 }
	inside && /^=+$/ { done() }
	END {
		for (key in count) {
			split(key, part, SUBSEP)
			print part[1] "\t" count[key] "\t" part[2]
		}
	}' "$1" | sort
}

judge()
{
	local class number title

	: > "$output/races"
	if [[ ! -s $output/dmesg ]]; then
		result 1 "the kernel log was kept"
		return
	fi
	sort_races "$output/dmesg" > "$output/summary"
	while IFS=$'\t' read -r class number title; do
		case $class in
		ours) result 1 "$title, $number times" ;;
		known) echo "# known: $title, $number times" ;;
		esac
	done < "$output/summary"
	sed 's/^/# /' "$output/races"
	echo "# $(grep -c ^core "$output/summary" || true) races in the kernel without the module"
	if grep -q ^ours "$output/summary"; then
		return
	fi
	result 0 "no data race in the module"
}

# Everything but KCSAN's own that vm would have found on the console.
judge_log()
{
	local status=0

	grep -v '^KCSAN:$' "$top/tools/vm/reports" > "$output/patterns"
	grep -v 'BUG: KCSAN' "$output/dmesg" | grep -aE -A60 -f "$output/patterns" \
		> "$output/reports" || status=$?
	if ((status == 1)); then
		result 0 "no other report in the kernel log"
	else
		result 1 "no other report in the kernel log" "$output/reports"
	fi
}

if [[ ${1:-} == --in-machine ]]; then
	output=$2
	shift 2
	in_machine "$@"
else
	prepare kcsan KCFLAGS=-g
	run_machine "$top/tools/check-kcsan.sh" --in-machine "$output" "$@"
	judge
	judge_log
	finish
fi
