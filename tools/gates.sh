#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Static gates: everything that judges the sources without running them. Each
# gate prints one line, and what it found below it; the last line is the sum.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${FERRY_CACHE:-$HOME/.cache/ferry}
# Scripts of the kernel source: checkpatch, coccinelle, kernel-doc.
linux=${FERRY_LINUX:-$cache/linux-6.12}
all_gates=(style shellcheck man checkpatch kernel-doc gcc cross clang cocci)

# What checkpatch --strict is wrong about here: path, types of message, reason.
checkpatch_exceptions()
{
	cat <<-'END'
	module/compat(-scm)?\.h LINUX_VERSION_CODE the files where kernel versions may be told apart
	module/compat(-scm)?\.h CONSTANT_COMPARISON KERNEL_VERSION() looks like a constant on the left to it
	module/ferry\.h UNCOMMENTED_DEFINITION the kernel-doc comment above the structure describes the lock
	module/trace\.h TRACE_EVENT_.* fields and prints of a trace event are laid out in columns
	module/trace\.h OPEN_ENDED_LINE|CODE_INDENT|SPACING|PARENTHESIS_ALIGNMENT TP_STRUCT__entry and kin are lists, not calls
	selftests/.* COMPLEX_MACRO|MULTISTATEMENT_MACRO_USE_DO_WHILE a fixture or a variant of one is a definition
	selftests/.* MACRO_WITH_FLOW_CONTROL|MACRO_ARG_REUSE the harness skips and fails by returning; arguments are constants
	(selftests|tools)/.* CAMELCASE _Alignof and names of libraries
	(selftests|tools)/.* PREFER_KERNEL_TYPES programs use the types of stdint.h
	(selftests|tools)/.* NAKED_SSCANF|SSCANF_TO_KSTRTO kstrto*() does not exist outside the kernel
	(selftests|tools)/.* ENOSYS|USE_NEGATIVE_ERRNO programs compare with what errno holds
	(selftests|tools)/.* EMBEDDED_FUNCTION_NAME a text that says "usage" need not mean usage()
	(selftests|tools)/.* PREFER_DEFINED_ATTRIBUTE_MACRO programs do not have the kernel's macros
	tools/fuzz/(calls|program)\.[ch] MACRO_ARG_REUSE|MACRO_ARG_UNUSED|TRAILING_SEMICOLON lists of calls and arrays, not functions
	tools/fuzz/emit\.c SPDX_LICENSE_TAG the line that it writes
	tools/bench/profile\.c AVOID_EXTERNS the interface of QEMU's plugins, which has no package for its header
	(selftests|tools)/.* USLEEP_RANGE|STRLCPY|STRCPY|STRNCPY advice for kernel code; what it names is not in libc
	END
}

# The same for coccinelle: path, script, reason.
cocci_exceptions()
{
	cat <<-'END'
	module/buffer\.c zalloc-simple only the header is cleared, the payload's room behind it need not be
	END
}

# The same for mandoc -T lint: path, message, reason.
man_exceptions()
{
	cat <<-'END'
	.* referenced.manual.not.found which pages are installed is no property of ours
	.*\.7 unexpected.section:.Sh.ERRORS socket pages of section 7 have it on Linux
	.*/af_ferry\.7 input.text.line.longer.than.80.bytes the source is as wide as the code's
	END
}

usage()
{
	cat <<-END
	usage: gates.sh [GATE...]

	style        SPDX lines, version tests only in compat*.h, no left-over marks
	shellcheck   every shell script
	man          mandoc -T lint on the manual pages
	checkpatch   checkpatch.pl --strict on C sources, but for reasoned exceptions
	kernel-doc   kernel-doc comments of module/ and uapi/
	gcc          gcc with W=1, and sparse with endian checks, for every kernel in FERRY_KDIRS
	cross        the same for arm64, i386 and s390x
	clang        clang with W=1, against a tree configured for it
	cocci        the kernel's own coccinelle scripts on module/

	FERRY_KDIRS  build directories of kernels (default: Debian's headers in /usr/src)
	FERRY_LINUX  kernel source whose scripts/ are used (default: the cache)
	END
}

# One build shows what the compiler and what sparse object to.
strict=(W=1 C=2 CF=-D__CHECK_ENDIAN__)
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# verdict NAME FILE: FILE holds what the gate objects to.
verdict()
{
	if [[ -s $2 ]]; then
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $1"
		sed 's/^/# /' "$2"
	else
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $1"
	fi
}

# fail_gate NAME MESSAGE: a gate that could not run has not passed.
fail_gate()
{
	echo "$2" > "$work/message"
	verdict "$1" "$work/message"
}

need()
{
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null && continue
		fail_gate "$gate" "$tool is not installed (tools/setup.sh check)"
		return 1
	done
}

# sources PATTERN...: files of the project, whether committed yet or not.
sources()
{
	local file pattern

	if git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$top" ls-files -co --exclude-standard
	else
		(cd "$top" && find . -type f -printf '%P\n')
	fi | sort -u | while read -r file; do
		[[ -f $top/$file && $file != build/* ]] || continue
		for pattern in "$@"; do
			# shellcheck disable=SC2053  # $pattern is one
			if [[ $file == $pattern ]]; then
				echo "$file"
				break
			fi
		done
	done
}

kdirs()
{
	local dir

	if [[ -n ${FERRY_KDIRS:-} ]]; then
		tr ' ' '\n' <<< "$FERRY_KDIRS"
		return
	fi
	for dir in /usr/src/linux-headers-*-amd64; do
		[[ ! -e $dir/Makefile ]] || echo "$dir"
	done
}

# Debian's headers say 6.1.192 where the kernel calls itself 6.1.0-56-amd64.
release_of()
{
	local name

	name=$(realpath "$1")
	name=${name##*/}
	case $name in
	linux-headers-*) echo "${name#linux-headers-}" ;;
	*) cat "$1/include/config/kernel.release" ;;
	esac
}

# A copy is built, so that a gate neither uses nor leaves objects.
copy_module()
{
	rm -rf "$1"
	mkdir -p "$1"
	cp -r "$top/Kbuild" "$top/module" "$top/uapi" "$1/"
	find "$1" \( -name '*.o' -o -name '*.cmd' -o -name '*.ko' \) -delete
}

# build_quietly NAME KDIR PATTERN MAKE-ARGUMENTS...: lines that match PATTERN
# and lie in the module are what the gate objects to.
build_quietly()
{
	local name=$1 kdir=$2 pattern=$3 log=$work/log copy=$work/module in_tree=() tree

	shift 3
	# The kernel of another Debian, and those of other machines: built in there,
	# which has only the checkout.
	if tree=$("$top/tools/debian-tree.sh" path) &&
		[[ $kdir == "$tree"/* || $kdir == */kernels/cross-* ]]; then
		in_tree=("$top/tools/debian-tree.sh" run)
		kdir=${kdir#"$tree"}
		copy=$top/build/gates
	fi
	copy_module "$copy"
	if "${in_tree[@]}" make -C "$kdir" M="$copy" -j"$(nproc)" "$@" modules > "$log" 2>&1; then
		# A warning in a header of the kernel is not ours; one that only
		# our code provokes names our file in the lines before.
		grep -E "$pattern" "$log" | grep -F "$copy" |
			sed "s,$copy/,," | sort -u > "$work/found" || true
	else
		grep -E 'error|warning|\*\*\*' "$log" | sed "s,$copy/,," |
			head -40 > "$work/found" || tail -20 "$log" > "$work/found"
	fi
	verdict "$name" "$work/found"
}

gate_style()
{
	local file found=$work/style

	: > "$found"
	sources '*.c' '*.h' '*.sh' '*.py' 'Kbuild' 'Makefile' '*/Makefile' '*.config' |
	while read -r file; do
		head -3 "$top/$file" | grep -q 'SPDX-License-Identifier' ||
			echo "$file: no SPDX-License-Identifier" >> "$found"
	done
	sources 'module/*.c' 'module/*.h' | grep -v '^module/compat\(-scm\)\?\.h$' |
	while read -r file; do
		(cd "$top" && grep -nHE 'LINUX_VERSION_CODE|KERNEL_VERSION\(' "$file") >> "$found" || true
	done
	sources '*.c' '*.h' '*.sh' '*.py' '*.md' '*Makefile' 'Kbuild' | grep -v '^tools/gates\.sh$' |
	while read -r file; do
		(cd "$top" && grep -nHwE 'TODO|FIXME|XXX|HACK' "$file") >> "$found" || true
	done
	verdict style "$found"
}

gate_shellcheck()
{
	local file found=$work/shell

	need shellcheck || return 0
	: > "$found"
	sources '*' | while read -r file; do
		head -c 64 "$top/$file" | head -1 | tr -d '\0' | grep -qE '^#!.*\b(ba|da)?sh\b' || continue
		(cd "$top" && shellcheck -x -f gcc "$file") >> "$found" || true
	done
	verdict shellcheck "$found"
}

gate_man()
{
	local pages

	need mandoc || return 0
	mapfile -t pages < <(sources 'Documentation/*.[1-8]')
	(cd "$top" && mandoc -T lint "${pages[@]}" 2>/dev/null || true) |
		grep -vEf <(man_exceptions | awk '{ print "^mandoc: " $1 ":[0-9]+:.*" $2 }') \
			> "$work/man" || true
	verdict "mandoc -T lint (${#pages[@]} pages)" "$work/man"
}

# Reads "path:line: LEVEL:TYPE: text" and drops what an exception covers.
filter_checkpatch()
{
	local line path type pattern types

	while read -r line; do
		path=${line%%:*}
		type=$(sed -E 's/^[^:]*:[0-9]*: [A-Z]+:([A-Z_0-9]+):.*/\1/' <<< "$line")
		while read -r pattern types _; do
			[[ $path =~ ^$pattern$ && $type =~ ^($types)$ ]] && continue 2
		done <<< "$exceptions"
		echo "$line"
	done
}

gate_checkpatch()
{
	local found=$work/checkpatch exceptions files

	need perl || return 0
	[[ -e $linux/scripts/checkpatch.pl ]] ||
		{ fail_gate checkpatch "no checkpatch.pl in $linux (tools/setup.sh check)"; return; }
	exceptions=$(checkpatch_exceptions)
	mapfile -t files < <(sources 'module/*.[ch]' 'uapi/*.h' 'selftests/*.[ch]' 'tools/*.[ch]')
	((${#files[@]})) || { fail_gate checkpatch "no sources"; return; }
	(cd "$top" && perl "$linux/scripts/checkpatch.pl" --strict --no-tree --no-summary \
		--terse --show-types --max-line-length=100 -f "${files[@]}" 2>&1 || true) |
		grep -E '^[^ ]+:[0-9]+: ' | filter_checkpatch > "$found" || true
	verdict "checkpatch --strict (${#files[@]} files)" "$found"
}

gate_kernel-doc()
{
	local files

	[[ -e $linux/scripts/kernel-doc ]] ||
		{ fail_gate kernel-doc "no kernel-doc in $linux (tools/setup.sh check)"; return; }
	mapfile -t files < <(sources 'module/*.[ch]' 'uapi/*.h')
	(cd "$top" && "$linux/scripts/kernel-doc" -none -Wall "${files[@]}") \
		> "$work/doc" 2>&1 || true
	grep -E 'warning|error' "$work/doc" > "$work/found" || true
	verdict "kernel-doc (${#files[@]} files)" "$work/found"
}

gate_gcc()
{
	local kdir

	need sparse || return 0
	while read -r kdir; do
		build_quietly "gcc W=1 and sparse, $(release_of "$kdir")" "$kdir" '(warning|error):' \
			"${strict[@]}"
	done < <(kdirs)
}

gate_cross()
{
	local trees machine arguments options

	trees=$("$top/tools/vm/kernel.sh" build cross) ||
		{ fail_gate cross "no trees to build against"; return; }
	while read -r machine arguments; do
		read -ra options <<< "$arguments"
		# These have no Module.symvers: they are configured, not built.
		build_quietly "gcc W=1 and sparse, $machine" "$trees/$machine" '(warning|error):' \
			"${options[@]}" "${strict[@]}" KBUILD_MODPOST_WARN=1
		# Nor could modpost tell from them what no kernel has.
		nm -u "$top/build/gates/ferry.o" 2>&1 |
			grep -E 'no symbols|No such|__(u?(div|mod)[dt]i|atomic_|sync_)' \
			> "$work/found" || true
		verdict "nothing of libgcc, $machine" "$work/found"
	done < <("$top/tools/vm/kernel.sh" machines)
}

gate_clang()
{
	local tree

	need clang ld.lld llvm-nm || return 0
	tree=$("$top/tools/vm/kernel.sh" build clang) ||
		{ fail_gate clang "no tree to build against"; return; }
	# That tree has no Module.symvers: it is configured, not built.
	build_quietly "clang W=1, $(release_of "$tree")" "$tree" 'warning:' \
		LLVM=1 W=1 KBUILD_MODPOST_WARN=1
}

# One script: prints what it reports. Options stand in the script itself.
run_cocci()
{
	local script=$1 options

	grep -q '^virtual.*report' "$script" || return 0
	options=$(sed -n 's,^// Options:,,p' "$script")
	# shellcheck disable=SC2086  # several options
	(cd "$top" && timeout 1800 spatch -D report --very-quiet --no-show-diff \
		--cocci-file "$script" $options --dir module -I uapi 2>&1) |
		grep -E '^module/' | sed "s,\$, [$(basename "$script" .cocci)]," || true
}

gate_cocci()
{
	local scripts=$linux/scripts/coccinelle found=$work/cocci

	need spatch || return 0
	[[ -d $scripts ]] ||
		{ fail_gate cocci "no coccinelle scripts in $linux (tools/setup.sh check)"; return; }
	export -f run_cocci
	export top
	find "$scripts" -name '*.cocci' | sort |
		xargs -P "$(nproc)" -I{} bash -c 'run_cocci {}' | sort -u |
		grep -vEf <(cocci_exceptions | awk '{ print "^" $1 ":.*\\[" $2 "\\]$" }') > "$found" || true
	verdict "coccinelle ($(find "$scripts" -name '*.cocci' | wc -l) scripts)" "$found"
}

gates=("$@")
case ${1:-} in
-h|--help)
	usage
	exit 0
	;;
"")
	gates=("${all_gates[@]}")
	;;
esac
for gate in "${gates[@]}"; do
	declare -F "gate_$gate" >/dev/null || { usage >&2; exit 2; }
done
for gate in "${gates[@]}"; do
	start=$SECONDS
	"gate_$gate"
	echo "# $gate took $((SECONDS - start)) s"
done
echo "$passed passed, $failed failed"
((failed == 0))
