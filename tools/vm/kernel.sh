#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the test kernels (debug, kcsan, gcov) from Debian's linux-source-6.12, or
# that of another version, and keeps them in the cache, by name, version and
# configuration:
#
#	$FERRY_CACHE/kernels/<name>-<version>-<hash>/
#
# Such a directory holds what `make -C DIR M=...` and the virtual machine need:
# arch/x86/boot/bzImage, headers, scripts, Module.symvers, .config. That of "cross"
# has one such directory, without an image, for each machine that the module is only
# compiled for.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kernels=${FERRY_CACHE:-$HOME/.cache/ferry}/kernels
default=6.12
linux=${FERRY_LINUX:-$default}
package=linux-source-$linux
# Their compilers and Debian 12's for 32-bit programs exclude each other, so these
# kernels are configured, and modules for them built, in the Debian 13 of the cache.
machines=(
	'arm64 ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-'
	'i386 ARCH=i386'
	's390x ARCH=s390 CROSS_COMPILE=s390x-linux-gnu-'
)
tree_run=$here/../debian-tree.sh
jobs=${FERRY_JOBS:-$(nproc)}

usage()
{
	cat <<-END
	usage: kernel.sh build NAME   build unless cached; prints the directory last
	       kernel.sh path NAME    print the directory; fails when not built
	       kernel.sh run NAME COMMAND...   run it where NAME is built, with its compiler
	       kernel.sh config NAME  print the final configuration, build nothing
	       kernel.sh list         kernels in the cache, one a line
	       kernel.sh prune        delete all but those of today's configurations
	NAME is one of: debug kcsan gcov; clang and cross are configured only, for
	compiling the module against them: by clang, and for arm64, i386, s390x

	FERRY_LINUX          the version to build from (default 6.12); another than that
	                     comes from the Debian 13 of the cache and is built there
	FERRY_CACHE          where to keep them (default ~/.cache/ferry)
	FERRY_JOBS           processes to build with (default: one a processor)
	FERRY_KERNEL_WORK    keep sources and objects there, for changing a configuration
	FERRY_KERNEL_SOURCE  an unpacked, unconfigured tree to use instead of the package
	                     (both below FERRY_CACHE/kernels for what is built there)
	END
}

die()
{
	echo "kernel.sh: $*" >&2
	exit 1
}

say()
{
	echo "kernel.sh: $*" >&2
}

check_name()
{
	case ${1:-} in
	debug|kcsan|gcov|clang|cross) ;;
	*) usage >&2; exit 2 ;;
	esac
}

# Is NAME built in the Debian of the cache?
inside()
{
	[[ $1 == cross || $linux != "$default" ]]
}

source_version()
{
	if [[ -n ${FERRY_KERNEL_SOURCE:-} ]]; then
		make -s -C "$FERRY_KERNEL_SOURCE" kernelversion
	elif [[ $linux != "$default" ]]; then
		# shellcheck disable=SC2016 # a field of dpkg
		in_tree dpkg-query -W -f '${source:Upstream-Version}' "$package" 2>/dev/null ||
			die "package $package is not in the Debian of the cache (FERRY_LINUX=$linux tools/setup.sh next debug)"
	else
		dpkg-query -W -f '${source:Upstream-Version}' "$package" 2>/dev/null ||
			die "package $package is not installed (tools/setup.sh debug)"
	fi
}

compiler_version()
{
	if inside "$1"; then
		in_tree gcc -dumpfullversion
	elif [[ $1 == clang ]]; then
		clang -dumpversion
	else
		gcc -dumpfullversion
	fi
}

# in_tree COMMAND...: in the Debian of the cache, where the cache has the same path.
in_tree()
{
	(cd "$here" && "$tree_run" run "$@")
}

# The fragments of a configuration; what comes later wins.
fragments()
{
	[[ $1 == cross ]] || echo "$here/base.config"
	echo "$here/$1.config"
}

# The compiler is part of the key: a module has to be built by the compiler
# that built the kernel, or sanitizer ABIs and gcov formats disagree.
tree_of()
{
	local version hash compiler files

	version=$(source_version)
	compiler=$(compiler_version "$1")
	mapfile -t files < <(fragments "$1")
	hash=$({ grep -hv '^#' "${files[@]}"
		echo "$compiler"; } | sha256sum | cut -c1-12)
	echo "$kernels/$1-$version-$hash"
}

complete()
{
	[[ -e $1/.complete ]]
}

# Only x86 and what builds or describes it; the rest is 700 MB of files.
unpack()
{
	local tarball=/usr/src/$package.tar.xz

	[[ $linux == "$default" ]] || tarball=$("$tree_run" path)$tarball
	[[ -e $tarball ]] || die "$tarball is missing (tools/setup.sh debug)"
	say "unpacking $package"
	mkdir -p "$1"
	tar -xf "$tarball" -C "$1" --strip-components=1 --wildcards \
		--exclude='*/Documentation/*/*' --exclude='*.dts' --exclude='*.dtsi' \
		--exclude='*/drivers/gpu/drm/*/*.[ch]' \
		--exclude='*/drivers/net/ethernet/*/*.[ch]' \
		--exclude='*/drivers/net/wireless/*/*.[ch]' \
		--exclude='*/drivers/media/*/*.[ch]' \
		--exclude='*/drivers/staging/*/*.[ch]' \
		--exclude='*/sound/*/*.[ch]' \
		--exclude='*/tools/testing/*' --exclude='*/tools/perf/*'
}

# An option that Kconfig silently drops, because a dependency is missing, would
# make a kernel that checks less than its name promises.
check_options()
{
	local line name missing=0

	while read -r line; do
		name=${line%%=*}
		if [[ $line == *=n ]]; then
			! grep -q "^$name=" "$2" && continue
		else
			grep -qxF -- "$line" "$2" && continue
		fi
		say "asked for $line, got $(grep -w "$name" "$2" || echo nothing)"
		missing=1
	done < "$1"
	((!missing)) || die "the configuration does not hold what was asked for"
}

# configure NAME SOURCE OUTPUT [MAKE-ARGUMENTS...]; sets $kmake, the make to go on with
configure()
{
	local out=$3 wanted=$3/wanted.config files

	kmake=(make -C "$2" O="$out" "${@:4}")
	[[ $1 != clang ]] || kmake+=(LLVM=1)
	! inside "$1" || kmake=(in_tree "${kmake[@]}")
	mkdir -p "$out"
	"${kmake[@]}" -s tinyconfig >/dev/null
	# Each option once, so that the check is exact.
	mapfile -t files < <(fragments "$1")
	cat "${files[@]}" | grep '^CONFIG_' |
		awk -F= '{ last[$1] = $0 } END { for (o in last) print last[o] }' |
		sort > "$wanted"
	(cd "$out" && KCONFIG_CONFIG=.config \
		"$2/scripts/kconfig/merge_config.sh" -m -Q .config "$wanted" >/dev/null)
	"${kmake[@]}" -s olddefconfig >/dev/null
	check_options "$wanted" "$out/.config"
}

# Prints a line every half minute while process $1 fills $2 with objects.
progress()
{
	local seconds=0

	while kill -0 "$1" 2>/dev/null; do
		sleep 1
		((++seconds % 30)) ||
			say "$(find "$2" -name '*.o' | wc -l) objects after $seconds s"
	done
}

# The running job is killed with the script, so that no compiler stays behind.
cleanup()
{
	[[ -z ${build_pid:-} ]] || kill -- "-$build_pid" 2>/dev/null || true
	[[ -n ${keep:-} ]] || rm -rf "${work:-}"
}

# build_tree TREE NAME SOURCE OUTPUT [MAKE-ARGUMENTS...]: TREE gets what a distribution's
# header package would hold, and the image where there is one.
build_tree()
{
	local tree=$1 name=$2 out=$4 targets=(bzImage modules)

	configure "${@:2}"
	case $name in
	clang | cross)
		say "preparing headers for $name ${arguments:-}, half a minute"
		targets=(modules_prepare)
		# Nothing is built that could export a symbol.
		touch "$out/Module.symvers"
		;;
	*)
		say "building $name from $linux with $jobs jobs, about 12 minutes on two processors"
		;;
	esac
	set -m
	"${kmake[@]}" -j"$jobs" "${targets[@]}" > "$work/log" 2>&1 9>&- &
	build_pid=$!
	set +m
	progress "$build_pid" "$out"
	if ! wait "$build_pid"; then
		build_pid=
		grep -E -B3 -A8 'error|Error' "$work/log" | tail -60 >&2
		die "building $name failed"
	fi
	build_pid=

	mkdir -p "$tree"
	# CC is the host's, else the scripts in there are built for the other machine.
	"${kmake[@]}" -s run-command \
		KBUILD_RUN_COMMAND="CC=\"\$\$HOSTCC\" \$(srctree)/scripts/package/install-extmod-build $tree" \
		>> "$work/log" 2>&1 || { tail -20 "$work/log" >&2; die "headers"; }
	cp "$out/.config" "$tree/"
	if [[ ${targets[0]} == bzImage ]]; then
		mkdir -p "$tree/arch/x86/boot"
		cp "$out/arch/x86/boot/bzImage" "$tree/arch/x86/boot/"
		# What the machine enters by its PVH entry: the symbols stay, for
		# looking up addresses; the relocations only bzImage needs.
		cp "$out/vmlinux" "$tree/"
	fi
}

build()
{
	local name=$1 tree source out machine arguments kmake

	tree=$(tree_of "$name")
	mkdir -p "$kernels"
	exec 9>"$kernels/.lock-$name"
	flock -n 9 || { say "another build of $name is running, waiting"; flock 9; }
	if complete "$tree"; then
		echo "$tree"
		return
	fi

	if [[ -n ${FERRY_KERNEL_WORK:-} ]]; then
		work=$FERRY_KERNEL_WORK/$name
		keep=yes
		mkdir -p "$work"
	else
		work=$(mktemp -d "$kernels/.build-$name-XXXXXX")
	fi
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	out=$work/out
	source=${FERRY_KERNEL_SOURCE:-}
	if [[ -z $source ]]; then
		source=$work/source
		[[ -e $source/Makefile ]] || unpack "$source"
	fi

	rm -rf "$tree" "$work/tree"
	if [[ $name == cross ]]; then
		for machine in "${machines[@]}"; do
			read -r machine arguments <<< "$machine"
			# shellcheck disable=SC2086 # words
			build_tree "$work/tree/$machine" "$name" "$source" "$out/$machine" $arguments
		done
	else
		build_tree "$work/tree" "$name" "$source" "$out"
	fi
	touch "$work/tree/.complete"
	mv "$work/tree" "$tree"
	say "$tree: $(du -sh "$tree" | cut -f1)"
	echo "$tree"
}

show_config()
{
	local source

	mkdir -p "$kernels"
	work=$(mktemp -d "$kernels/.config-XXXXXX")
	trap cleanup EXIT
	source=${FERRY_KERNEL_SOURCE:-$work/source}
	[[ -n ${FERRY_KERNEL_SOURCE:-} ]] || unpack "$source"
	configure "$1" "$source" "$work/out"
	cat "$work/out/.config"
}

list()
{
	local tree

	for tree in "$kernels"/*-*/; do
		tree=${tree%/}
		! complete "$tree" || echo "$tree"
	done
}

prune()
{
	local tree today newest

	newest=$("$tree_run" kernel 2>/dev/null | grep -oE '^[0-9]+\.[0-9]+') || :
	today=$(for linux in "$default" $newest; do
		package=linux-source-$linux
		for name in debug kcsan gcov clang cross; do
			(tree_of "$name" 2>/dev/null) || :
		done
	done)
	while read -r tree; do
		grep -qxF "$tree" <<< "$today" || rm -rf "$tree"
	done < <(list)
}

case ${1:-} in
build)
	check_name "${2:-}"
	build "$2"
	;;
path)
	check_name "${2:-}"
	tree=$(tree_of "$2")
	complete "$tree" || die "$2 is not built (tools/vm/kernel.sh build $2)"
	echo "$tree"
	;;
config)
	check_name "${2:-}"
	[[ $2 != cross ]] || die "$2 has several; they are in the built trees"
	show_config "$2"
	;;
run)
	check_name "${2:-}"
	if inside "$2"; then
		"$tree_run" run "${@:3}"
	else
		"${@:3}"
	fi
	;;
machines)
	printf '%s\n' "${machines[@]}"
	;;
list)
	list
	;;
prune)
	prune
	;;
-h|--help|help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
