#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Fuzzes the module on the debug kernel, guided by KCOV. What the kernel reports is run
# again in fresh machines, made shorter there, and left as a C file.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$top/build/fuzz
run=$build/run
times=30
workers=2
minutes=10
seed=$(date +%s)
action=fuzz
file=
boots=40

usage()
{
	cat <<-END
	usage: run.sh [-t MINUTES] [-s SEED] [-j WORKERS]   fuzz, from the seeds and what
	                                                    earlier runs kept
	       run.sh -r FILE [-n TIMES]                    run the programs of a file
	       run.sh -m FILE [-n TIMES]                    make its first one shorter, write
	                                                    it as C beside the file
	Needs build/fuzz, which make fuzz fills; what is found is in build/fuzz/found-*.
	FERRY_FUZZ_KERNEL: the series of a stock kernel in place of the debug kernel, unguided
	END
}

say()
{
	echo "fuzz: $*" >&2
}

prepare()
{
	local release

	mkdir -p "$run"
	make -s -C "$top/tools/fuzz" OUT="$build" >&2
	if [[ -n ${FERRY_FUZZ_KERNEL:-} ]]; then
		release=$("$top/tools/vm/vm" kernels | grep "^$FERRY_FUZZ_KERNEL" | head -1)
		make -s -C "$top" module KERNELRELEASE="$release" >&2
		machine=(--kernel "$release")
		return
	fi
	tree=$("$top/tools/vm/kernel.sh" build debug)
	mkdir -p "$build/module"
	find "$build/module" -type l -delete
	cp -rsf "$top/Kbuild" "$top/module" "$top/uapi" "$build/module/"
	# Only what the module does is traced.
	make -s -C "$tree" M="$build/module" KCOV_INSTRUMENT=y KCFLAGS=-g modules >&2
	machine=(--tree "$tree" --module "$build/module/ferry.ko")
}

# in_machine SECONDS ARGUMENTS...: runs the fuzzer; the kernel stops at its first report.
in_machine()
{
	local seconds=$1

	shift
	"$top/tools/vm/vm" run --quiet "${machine[@]}" --cpus 2 --mem 3072 --timeout "$seconds" \
		--append "panic_on_warn=1 no_timer_check" --rw "$run" --log "$run/kernel.log" \
		-- "$build/fuzz" -d "$run" "$@"
}

# Was the end of the machine one that was found? Not if it was stopped or could not begin.
is_finding()
{
	(($1 == 3 || $1 == 124 || $1 == 125))
}

# blocks_of MODULE: where each traced block is in the module's text, in hexadecimal.
blocks_of()
{
	objdump -dr -j .text "$1" | awk '/__sanitizer_cov_trace_pc/ && /R_X86_64/ {
		sub(":", "", $1); print $1 }' |
		while read -r at; do printf '%x\n' $((0x$at + 4)); done
}

# What was reached, by file.
show_coverage()
{
	local ko=$build/module/ferry.ko

	[[ -s $run/blocks && -e $ko ]] || return 0
	blocks_of "$ko" | sort -u > "$run/all-blocks"
	sort -u "$run/blocks" | comm -12 - "$run/all-blocks" > "$run/reached"
	echo "blocks of the module reached: $(wc -l < "$run/reached") of $(wc -l < "$run/all-blocks")"
	paste "$run/all-blocks" <(addr2line -e "$ko" -j .text < "$run/all-blocks") |
		awk -v reached="$run/reached" '
		BEGIN { while ((getline at < reached) > 0) hit[at] = 1 }
		{ sub(/.*\//, "", $2); sub(/:.*/, "", $2); all[$2]++; got[$2] += $1 in hit }
		END { for (f in all) printf "  %-22s %5d of %5d\n", f, got[f], all[f] }' | sort
}

# shorten FILE DIR: the first program of FILE, as short as still does it, in DIR.
shorten()
{
	local dir=$2 boot status

	cp "$1" "$dir/program"
	for ((boot = 1; boot <= boots; boot++)); do
		cp "$dir/program" "$run/program"
		rm -f "$run/current"
		status=0
		in_machine 900 -m "$run/program" -n "$times" > "$dir/shorten.log" 2>&1 || status=$?
		if ! is_finding "$status" || [[ ! -s $run/current ]]; then
			break
		fi
		cp "$run/current" "$dir/program"
		cp "$run/kernel.log" "$dir/kernel.log"
		say "$(($(wc -l < "$dir/program") - 2)) calls do it"
	done
	"$build/fuzz" -e "$dir/program" > "$dir/reproducer.c"
	say "see $dir/program, reproducer.c, kernel.log"
}

# programs_of FILE FROM N: so many of its programs.
programs_of()
{
	awk -v from="$2" -v to="$(($2 + $3))" '
		/^program/ { at++ } at > from && at <= to' "$1"
}

# halve FILE DIR: what is lost shows when a machine ends only: which program loses it?
halve()
{
	local file=$2/programs n half from=0 status

	cp "$1" "$file"
	n=$(grep -c '^program' "$file")
	while ((n > 1)); do
		half=$(((n + 1) / 2))
		programs_of "$file" "$from" "$half" > "$run/again"
		status=0
		in_machine 1500 -r "$run/again" -n 3 > "$2/again.log" 2>&1 || status=$?
		if is_finding "$status"; then
			n=$half
		else
			from=$((from + half))
			n=$((n - half))
		fi
		say "$n programs are left"
	done
	programs_of "$file" "$from" 1 > "$2/program"
	"$build/fuzz" -e "$2/program" > "$2/reproducer.c"
	say "see $2/program, reproducer.c"
}

# Something was found: run again what ran last, the newest first; if it does not happen
# soon, more often.
examine()
{
	local dir status n

	dir=$build/found-$(date +%m%d-%H%M%S)
	mkdir "$dir"
	cp "$run"/last-* "$run"/found-* "$run/kernel.log" "$dir/" 2> /dev/null || :
	grep -naEf "$top/tools/vm/reports" "$run/kernel.log" | head -1 >&2 || :
	cat "$dir"/found-* > "$run/again" 2> /dev/null || : > "$run/again"
	find "$dir" -name 'last-*' -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2 |
		xargs -r cat >> "$run/again"
	if grep -q 'ended with nothing' "$run/output"; then
		say "looking for what is lost, for $dir"
		[[ ! -s $run/corpus ]] || cat "$run/corpus" >> "$run/again"
		halve "$run/again" "$dir"
		return
	fi
	say "running again what ran last, for $dir"
	for n in 3 "$times"; do
		rm -f "$run/current"
		status=0
		in_machine 1500 -r "$run/again" -n "$n" > "$dir/again.log" 2>&1 || status=$?
		if is_finding "$status" && [[ -s $run/current ]]; then
			cp "$run/current" "$dir/current"
			shorten "$dir/current" "$dir"
			return
		fi
	done
	say "it did not happen again; $dir has the last sequences"
}

fuzz()
{
	local status=0 seeds=("$top"/tools/fuzz/seeds/*)

	[[ ! -e $build/corpus ]] || seeds+=("$build/corpus")
	rm -f "$run"/{last,found}-* "$run/corpus" "$run/blocks"
	in_machine $((minutes * 60 + 900)) -s "$seed" -t $((minutes * 60)) -j "$workers" "${seeds[@]}" |
		tee "$run/output" || status=$?
	[[ ! -s $run/corpus ]] || cp "$run/corpus" "$build/corpus"
	show_coverage
	if is_finding "$status"; then
		examine
		return 1
	fi
	return "$status"
}

while getopts t:s:j:r:m:n:h option; do
	case $option in
	t) minutes=$OPTARG ;;
	s) seed=$OPTARG ;;
	j) workers=$OPTARG ;;
	n) times=$OPTARG ;;
	r | m)
		action=$option
		file=$(realpath "$OPTARG")
		;;
	h)
		usage
		exit
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done

prepare
case $action in
fuzz)
	fuzz
	;;
r)
	in_machine 3000 -r "$file" -n "$times"
	;;
m)
	mkdir -p "$file.shorter"
	shorten "$file" "$file.shorter"
	;;
esac
