#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make check" does: static checks, for each of the stock kernels a build, a
# machine and all selftests, and these again on the debug kernel. The last line
# sums it all up.
#
# usage: check.sh [RELEASE...]     (what "tools/vm/vm kernels" prints)
#
# FERRY_CHECK_JOBS    how many parts run side by side (2)

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

gates=(style shellcheck man checkpatch kernel-doc gcc cross clang cocci)
log=$top/build/check.log

step() {
	printf '\n=== %s\n' "$*"
	failures+=("in: $*")
}

# seconds_of_programs: of those that ended, the slowest first.
seconds_of_programs() {
	awk '/^(not )?ok [0-9]+ [^ ]+$/ { name = $NF }
		/^# [0-9]+ passed.* in [0-9]+ s / { match($0, / in [0-9]+ s /)
			print substr($0, RSTART + 4, RLENGTH - 7), name }' "$log" |
		sort -rn | paste -sd , | sed 's/^/  # seconds: /'
}

# tally: adds what the last sum in the log says to ours, and notes what failed
# there: the last lines that a selftest said before, of a program, a gate and the machine
# the first ones after. Without a sum it fails, and notes which program was the
# last, how long the others took, and what the machine had to say.
tally() {
	local lines

	mapfile -t lines < <(awk '
		/^ +# / { said[n++] = $0 }
		/^ *ok / { n = 0 }
		/^ok / { more = 0 }
		/^# ([0-9]+ passed|vm: |status |[^ ]+:[0-9]+:|.*(Oops|BUG|WARNING|RIP|panic))/ && more-- > 0
		/^ *not ok / {
			print $0
			for (i = n > 8 ? n - 8 : 0; i < n; i++)
				print said[i]
			n = 0
			more = 6
		}' "$log" | cut -c 1-160)
	failures+=("${lines[@]}")
	if ! sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1); then
		mapfile -t lines < <(
			grep -a '# Subtest: ' "$log" | tail -n 1
			seconds_of_programs
			awk '/^vm: [^L]/ { on = 1 }
				on { line[n++] = "  # " $0 }
				END { for (i = 0; i < n; i++)
					if (i < 40 || i >= n - 40)
						print line[i] }' "$log"
		)
		failures+=("${lines[@]}")
		return 1
	fi
	add_sum "$sum"
}

# try NAME COMMAND...: a test of ours is whether the command succeeds.
try() {
	local name=$1 status=0

	shift
	"$@" >"$log" 2>&1 || status=$?
	result "$status" "$name" "$log"
	return "$status"
}

# What is about values, times and what UDP, TCP and devices make of an option, and about
# no object's life: check-debug.sh alone runs these too.
not_on_debug=(
	buffer capacity linger name names_scale one_step option_effects options peekoff procfs
	readiness record_events remote_options sigio socket_kind timeout timestamp
)

# The programs for the debug kernel. It looks at the module: the programs of 32 bits
# show that sizes are right, which it is no better at; those of the command have shells
# that take most of the time.
programs_for_debug() {
	grep -v -e '-m32' -e '^command' -e '^run_' -e '^languages' "$top/selftests/programs.txt" |
		grep -vxF -f <(printf '%s\n' "${not_on_debug[@]}")
}

# programs_for RELEASE: the old families are there to prove the tests, programs that
# people use to prove "ferry run", and languages to prove their page: once will do. The
# debug kernel is made of the source of 6.12, so what it runs that need not run again.
programs_for() {
	local not=(-e '^run_programs' -e '^run_servers' -e '^run_grpc' -e '^languages')

	case $1 in
	"${releases[0]}") cat "$top/selftests/programs.txt" ;;
	6.12.*) grep -v "${not[@]}" "$top/selftests/programs.txt" |
		grep -vxF -f <(programs_for_debug) ;;
	*) grep -v "${not[@]}" "$top/selftests/programs.txt" ;;
	esac
}

# Not all kernels have to run each test in all its variants: which of them, changes from
# commit to commit.
share() {
	local commits of=4

	commits=$(git -C "$top" rev-list --count HEAD 2>/dev/null || echo 0)
	echo "$((commits % of))/$of"
}

check_kernel() {
	local release=$1 status=0 sum='' installed=$top/build/installed-$1 options=(-n) programs

	mapfile -t programs < <(programs_for "$release")
	case $release in
	"${releases[0]}") options=(-S "$(share)") ;;
	6.1.*) options+=(-s "$(share)") ;;
	esac
	step "Linux $release"
	try "module builds for $release" \
		make -C "$top" --no-print-directory KERNELRELEASE="$release" || return 0
	rm -rf "$installed"
	if try "module installs for $release" \
		make -C "$top" --no-print-directory modules_install \
		KERNELRELEASE="$release" INSTALL_MOD_PATH="$installed"; then
		try "what is installed loads by itself on $release, and removed no more" \
			"$top/tools/vm/vm" run --kernel "$release" --no-module --timeout 600 -- \
			"$top/tools/install-test.sh" "$installed" || :
	fi
	try "what README.md, the tutorial and porting.md show works on $release" \
		"$top/tools/vm/vm" run --kernel "$release" --timeout 600 -- \
		bash -ec 'tools/examples.sh run; tools/demo.sh' || :
	[[ $release != "${releases[0]}" ]] ||
		try "two machines talk by name on $release" \
			"$top/tools/vm/vm" run --kernel "$release" --machines 2 --mem 1024 \
			--timeout 600 -- "$top/selftests/two_machines.sh" || :
	"$top/tools/vm/vm" run --kernel "$release" --timeout "${FERRY_TIMEOUT:-5000}" \
		--log "$top/build/check-$release.kernel" -- "$top/selftests/run.sh" \
		"${options[@]}" "${programs[@]}" 2>&1 |
		tee "$log" || status=$?
	tally || result 1 "the selftests came to their end on $release"
	case $status in
	0) ;;
	124 | 125) result 1 "the machine ended well" ;;
	*) [[ $sum =~ \ [1-9][0-9]*\ failed ]] || result 1 "exit status $status" ;;
	esac
}

# A process costs a second there; check-debug.sh alone runs all.
check_debug() {
	local status=0 sum='' programs share

	share=$(share)
	step "the debug kernel (share $share)"
	mapfile -t programs < <(programs_for_debug)
	FERRY_TIMEOUT=${FERRY_TIMEOUT:-5000} \
		"$top/tools/check-debug.sh" -n -s "$share" "${programs[@]}" |
		tee "$log" || status=$?
	tally || :
	((status == 0)) || [[ $sum =~ \ [1-9][0-9]*\ failed ]] ||
		result 1 "check-debug.sh came to its end (status $status)"
}

# What the sources alone tell.
check_static() {
	local status=0 sum='' release

	step "static checks"
	FERRY_KDIRS=$(for release in "${releases[@]}"; do build_dir "$release"; done)
	export FERRY_KDIRS
	"$top/tools/gates.sh" "${gates[@]}" 2>&1 | tee "$log" || status=$?
	tally || result 1 "the static checks came to their end (status $status)"
}

check_machine() {
	local status=0 sum=''

	step "the machine"
	"$top/tools/vm/test.sh" --kernel "${releases[0]}" | tee "$log" || status=$?
	tally || :
	((status == 0 || failed > 0)) || result 1 "the machine's tests ended with status $status"
}

build_dir() {
	local dir=/lib/modules/$1/build

	[[ -e $dir/Makefile ]] || dir=$("$top/tools/debian-tree.sh" path)$dir
	echo "$dir"
}

# part NAME RELEASE...: one part of it, whose failures are left for the end.
part() {
	local name=$1

	shift
	releases=("$@")
	log=$top/build/check-$name.part
	case $name in
	static) check_static ;;
	machine) check_machine ;;
	debug) check_debug ;;
	*) check_kernel "$name" ;;
	esac
	((!failed)) || printf '%s\n' "${failures[@]}" >"$top/build/check-$name.failed"
	finish
}

# The parts that run, by process.
declare -A running=()

# None stays behind when this script is ended.
end_parts() {
	local pid

	for pid in "${!running[@]}"; do
		kill -- "-$pid" 2>/dev/null || :
	done
}

# A machine uses little more than one processor, so two parts run side by side. What
# one prints is shown when it has ended.
run_parts() {
	local name ended pid jobs=${FERRY_CHECK_JOBS:-2} left=("$@")

	trap end_parts EXIT
	trap 'exit 130' INT TERM HUP
	while ((${#left[@]} + ${#running[@]})); do
		while ((${#left[@]} && ${#running[@]} < jobs)); do
			name=${left[0]}
			left=("${left[@]:1}")
			rm -f "build/check-$name.failed"
			# A process group of its own, see end_parts().
			set -m
			"$top/tools/check.sh" --part "$name" "${releases[@]}" \
				>"build/check-$name.log" 2>&1 </dev/null &
			set +m
			running[$!]=$name
		done
		ended=0
		wait -n -p pid "${!running[@]}" || ended=$?
		name=${running[$pid]}
		unset "running[$pid]"
		sed "s/^=== .*/& (ended after $SECONDS s)/" "build/check-$name.log"
		[[ ! -e build/check-$name.failed ]] ||
			mapfile -t -O "${#failures[@]}" failures <"build/check-$name.failed"
		if ((ended > 1)) || ! grep -qE '^[0-9]+ passed, [0-9]+ failed' "build/check-$name.log"; then
			result 1 "check of $name came to its end (status $ended)"
		fi
		add_sum "$(grep -E '^[0-9]+ passed, [0-9]+ failed' "build/check-$name.log" | tail -n 1)"
	done
}

cd "$top"
mkdir -p build
if [[ ${1:-} == --part ]]; then
	shift
	part "$@"
	exit
fi

releases=("$@")
((${#releases[@]})) || mapfile -t releases < <("$top/tools/vm/vm" kernels)
((${#releases[@]})) || {
	echo "no kernel to check with; tools/setup.sh installs them" >&2
	exit 1
}

for series in 6.12 6.1; do
	[[ " ${releases[*]}" == *" $series."* ]] || (($#)) || {
		echo "ok - the selftests on $series # SKIP this Debian has no such kernel"
		skipped=$((skipped + 1))
	}
done

step "building the tests"
try "the selftests build" make -s -C "$top/selftests" || :
try "the ferry command builds" make -s -C "$top" tools || :
try "make install and make uninstall" "$top/tools/install-files-test.sh" || :
try "the programs in the documentation build" "$top/tools/examples.sh" build || :
# The longest first.
run_parts debug static "${releases[@]}" machine

printf '\n=== sum for %s and the debug kernel (after %d s)\n' "${releases[*]}" "$SECONDS"
# Again at the end, as whoever sees only that must see them.
if ((failed)); then
	printf '%s\n' "${failures[@]}" | awk '/^in: / { step = $0; next } step { print step; step = "" } 1'
fi
finish
