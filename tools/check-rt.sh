#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The selftests on Debian's PREEMPT_RT kernels, 6.12 and 6.1, where a spinlock
# sleeps and everything can be interrupted. Arguments go to selftests/run.sh.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

# The newest installed rt kernel of a series.
rt_kernel()
{
	local image

	for image in /boot/vmlinuz-"$1".*-rt-amd64; do
		[[ ! -e $image ]] || echo "${image#/boot/vmlinuz-}"
	done | sort -V | tail -n 1
}

check_kernel()
{
	local release=$1 status=0 sum

	shift
	output=$top/build/check-rt-$release
	mkdir -p "$output"
	say "building the module for $release"
	make -C "$top" -s --no-print-directory KERNELRELEASE="$release" >&2
	"$top/tools/vm/vm" run --kernel "$release" --timeout "${FERRY_TIMEOUT:-3000}" \
		--log "$output/kernel.log" -- "$top/selftests/run.sh" -t 600 "$@" |
		tee "$output/output" || status=$?
	sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$output/output" | tail -n 1) || :
	add_sum "$sum"
	if ((status == 124 || status == 125)); then
		result 1 "the machine with $release ended well"
	else
		result 0 "the machine with $release ended well"
	fi
	[[ -n $sum ]] || result 1 "the selftests came to their end on $release (status $status)"
	((status == 0 || failed > 0)) || result 1 "exit status $status on $release"
}

make -s -C "$top/selftests" >&2
for series in 6.12 6.1; do
	release=$(rt_kernel "$series")
	if [[ -z $release ]]; then
		result 1 "there is an rt kernel $series in /boot (tools/setup.sh rt)"
	else
		check_kernel "$release" "$@"
	fi
done
finish
