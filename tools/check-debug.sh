#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The selftests on the debug kernel: KASAN, lockdep, object debugging, and
# kmemleak, cleared before and scanned after. Arguments go to selftests/run.sh.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

leaks=/sys/kernel/debug/kmemleak

# scan_leaks NAME: kmemleak calls an object lost when it is at least 5 s old
# and two scans did not meet it; the wait is for that age, not for a test.
scan_leaks()
{
	local found

	found=$(mktemp)
	sleep 6
	echo scan > "$leaks"
	echo scan > "$leaks"
	cat "$leaks" > "$found"
	if [[ -s $found ]]; then
		result 1 "$1" "$found"
	else
		result 0 "$1"
	fi
	echo clear > "$leaks"
	rm -f "$found"
}

in_machine()
{
	echo clear > "$leaks"
	run_suite "$@"
	# Twice: with the module there its functions have names in the report;
	# without it, what only the module's own tables pointed to is lost too.
	scan_leaks "no memory is lost while the module is loaded"
	remove_module
	scan_leaks "no memory is lost when the module is gone"
	finish
}

if [[ ${1:-} == --in-machine ]]; then
	shift
	in_machine "$@"
else
	prepare debug KCFLAGS=-g
	run_machine "$top/tools/check-debug.sh" --in-machine "$@"
	finish
fi
