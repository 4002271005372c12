# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What check-debug.sh, check-kcsan.sh, coverage.sh and fault-sites.sh share: build
# the module for a test kernel, run the selftests in it, add up what was found.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
passed=0
failed=0
skipped=0
failures=()

say()
{
	echo "${0##*/}: $*" >&2
}

# prepare NAME MAKE-ARGUMENTS...: sets tree, objects (where the module was
# built) and output (a directory that the machine may write to). FERRY_LINUX is the
# version to build from, see vm/kernel.sh.
prepare()
{
	local name=$1 release

	shift
	tree=$("$top/tools/vm/kernel.sh" build "$name")
	release=$(cat "$tree/include/config/kernel.release")
	objects=$top/build/$release
	output=$top/build/check-$name
	rm -rf "$output"
	mkdir -p "$objects" "$output"

	say "building the module and the selftests for $release"
	# Not by the top Makefile, which would not pass on what instruments the
	# module; the lock and the links are the same.
	(
		flock 9
		find "$objects" -type l -delete
		cp -rsf "$top/Kbuild" "$top/module" "$top/uapi" "$objects/"
		"$top/tools/vm/kernel.sh" run "$name" make -s -C "$tree" M="$objects" "$@" modules
	) 9> "$objects/.lock" >&2
	make -s -C "$top/selftests" >&2
}

# run_machine COMMAND...: runs it in the test kernel, keeps output and kernel
# log in $output, and adds what its last sum says to ours. What the kernel
# itself reports is one more test.
run_machine()
{
	local status=0 sum=

	"$top/tools/vm/vm" run --tree "$tree" --cpus "${FERRY_CPUS:-2}" \
		--mem "${FERRY_MEM:-3072}" --timeout "${FERRY_TIMEOUT:-3000}" \
		--module "$objects/ferry.ko" --rw "$output" --log "$output/kernel.log" \
		-- "$@" | tee "$output/output" || status=$?
	sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$output/output" | tail -1) || true
	# A run that was cut short has no sum: what it got through still counts.
	add_sum "${sum:-$(awk '/^ +ok / { p++ } /^ +not ok / { f++ }
		END { print p + 0 " passed, " f + 0 " failed" }' "$output/output")}"
	# 124 and 125 are the machine's own verdicts: out of time, kernel report.
	if ((status == 124 || status == 125)); then
		result 1 "the machine ended well"
	else
		result 0 "the machine ended well"
	fi
	[[ -n $sum ]] || result 1 "the selftests came to their end (status $status)"
	((status == 0 || failed > 0)) || result 1 "exit status $status"
}

# add_sum LINE: "N passed, N failed[, N skipped]".
add_sum()
{
	[[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]] || return 0
	passed=$((passed + BASH_REMATCH[1]))
	failed=$((failed + BASH_REMATCH[2]))
	[[ $1 =~ ([0-9]+)\ skipped ]] && skipped=$((skipped + BASH_REMATCH[1]))
	return 0
}

# result STATUS NAME [FILE]: one test of ours; FILE is shown when it failed.
result()
{
	if (($1 == 0)); then
		passed=$((passed + 1))
		echo "ok - $2"
	else
		failed=$((failed + 1))
		failures+=("not ok - $2")
		echo "not ok - $2"
		[[ -z ${3:-} ]] || sed 's/^/# /' "$3"
	fi
}

finish()
{
	if ((skipped)); then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	((failed == 0))
}

# judge_reasons FILE WHAT LIST: of each line in LIST, "file TAB function TAB text",
# FILE tells the reason, and each line of FILE is about a line of module/. WHAT names
# the lines. Leaves LIST with its reasons in $output/reasons.
judge_reasons()
{
	local reasons=$1 what=$2 list=$3

	"$top/tools/reasons.sh" join "$top/$reasons" "$list" > "$output/reasons"
	grep -P '\t$' "$output/reasons" > "$output/unexplained" || :
	result $(($(wc -l < "$output/unexplained") > 0)) "$what has its reason in $reasons" \
		"$output/unexplained"
	"$top/tools/reasons.sh" stale "$top/$reasons" > "$output/stale"
	result $(($(wc -l < "$output/stale") > 0)) "each reason is about a line of module/" \
		"$output/stale"
}

# In the machine: run the suite and hand its sum on to finish(). These kernels
# are several times slower than the stock ones, for which run.sh has its limit.
run_suite()
{
	local log status=0

	log=$(mktemp)
	"$top/selftests/run.sh" -t 1800 "$@" | tee "$log" || status=$?
	add_sum "$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)"
	((status == 0 || failed > 0)) || result 1 "selftests/run.sh ended with status $status"
	rm -f "$log"
}

# In the machine: a module that cannot be removed has lost count of something.
remove_module()
{
	local status=0

	rmmod ferry || status=$?
	result "$status" "the module can be removed"
}
