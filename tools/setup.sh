#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install the Debian packages that a part of the project needs, and unpack the
# few files of the kernel source that it uses. Does nothing when all is there.
#
# usage: setup.sh [base | check | programs | next | cross | debug | rt | bench]...    (base)

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${FERRY_CACHE:-${HOME:-/root}/.cache/ferry}

say() {
	echo "setup: $*"
}

die() {
	echo "setup: $*" >&2
	exit 1
}

# Debian 12 has 6.1 and 6.12, later releases have one kernel: the plain one.
kernels=(linux-@-amd64)
rt_kernels=(linux-@-rt-amd64)
# shellcheck source=/dev/null
if [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ]; then
	kernels+=(linux-@-6.12-amd64)
	rt_kernels+=(linux-@-6.12-rt-amd64)
fi

# The packages of a group, one a line.
packages() {
	case $1 in
	base) # make run: compile the module, boot the stock kernels, talk
		printf '%s\n' make gcc libc6-dev kmod xz-utils zstd busybox-static qemu-system-x86 \
			perl socat "${kernels[@]/@/image}" "${kernels[@]/@/headers}"
		;;
	check) # make check: selftests (32-bit ones too), the command, and static checks
		printf '%s\n' sparse shellcheck python3 procps linux-source-6.12 gcc-multilib \
			libmnl-dev libjson-c-dev pkg-config mandoc
		;;
	programs) # make check: what runs under "ferry run", and languages; tests of absent ones are skipped
		printf '%s\n' redis-server memcached tmux openssh-client dbus-daemon dbus-bin nginx haproxy curl nodejs \
			python3-grpcio postgresql golang-go rustc
		;;
	next | cross) # make check: a newer kernel than this Debian has, see debian-tree.sh
		printf '%s\n' debootstrap debian-archive-keyring
		;;
	debug) # make check-debug and its kin: build kernels, measure coverage
		printf '%s\n' linux-source-6.12 flex bison bc libelf-dev libssl-dev cpio rsync \
			pahole clang lld llvm coccinelle lcov
		;;
	rt) # make check-rt: both kernels with PREEMPT_RT
		printf '%s\n' "${rt_kernels[@]/@/image}" "${rt_kernels[@]/@/headers}"
		;;
	bench) # make bench: the plot
		printf '%s\n' gnuplot-nox python3 libjson-c-dev pkg-config
		;;
	*) die "usage: setup.sh [base | check | programs | next | cross | debug | rt | bench]..." ;;
	esac
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo "$@"
	fi
}

# Those packages on the input that are not installed.
missing() {
	local package

	while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			echo "$package"
	done
}

install() {
	local settings=(DEBIAN_FRONTEND=noninteractive) lock=(-o DPkg::Lock::Timeout=600)

	((EUID == 0)) || command -v sudo >/dev/null ||
		die "need root (or sudo) to install: $*"
	# Where no boot loader starts these kernels nobody needs their initrd,
	# which takes longer to make than all the rest.
	if [ ! -e /boot/grub ] && [ ! -e /boot/loader ] && [ ! -e /boot/efi ]; then
		settings+=(INITRD=No)
	fi
	say "installing $*"
	as_root apt-get "${lock[@]}" -qq update
	as_root env "${settings[@]}" apt-get "${lock[@]}" -o Dpkg::Use-Pty=0 -qq -y \
		--no-install-recommends install "$@" ||
		die "apt-get failed; Debian 12's 6.12 comes from bookworm-security, is it in sources.list?"
}

# Servers that only tests use: none is started, now or by the next boot.
install_servers() {
	local policy=/usr/sbin/policy-rc.d own='' status=0 package

	if [ ! -e "$policy" ]; then
		own=$(mktemp)
		printf '#!/bin/sh\nexit 101\n' >"$own"
		chmod 755 "$own"
		as_root cp "$own" "$policy"
	fi
	(install "$@") || status=$?
	[ -z "$own" ] || as_root rm -f "$policy" "$own"
	((status == 0)) || exit "$status"
	for package; do
		case $package in
		redis-server | memcached | nginx | haproxy | postgresql)
			as_root systemctl --quiet disable "$package" 2>/dev/null || :
			;;
		esac
	done
}

# As many as there should be, with the headers of the same release.
check_kernels() {
	local release found=0

	while read -r release; do
		[ -e "/boot/vmlinuz-$release" ] || continue
		[ -e "/lib/modules/$release/build/Makefile" ] || return 1
		found=$((found + 1))
	done < <("$top/tools/vm/vm" kernels)
	((found >= ${#kernels[@]}))
}

# The kselftest library and the source checkers, kept by version of the package.
unpack_source() {
	local tarball=/usr/src/linux-source-6.12.tar.xz to=$cache/linux-6.12 version temp part
	local parts=(scripts tools/testing/selftests/kselftest tools/testing/selftests/lib.mk
		tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h
		tools/testing/selftests/kselftest_install.sh
		tools/testing/selftests/run_kselftest.sh)

	version=$(dpkg-query -W -f '${Version}' linux-source-6.12)
	[ "$(cat "$to/.version" 2>/dev/null)" != "$version" ] || return 0
	say "unpacking what is needed of linux-source-6.12, half a minute"
	mkdir -p "$cache"
	temp=$(mktemp -d "$cache/linux.XXXXXX")
	tar -xJf "$tarball" -C "$temp" --strip-components=1 "${parts[@]/#/linux-source-6.12/}" || {
		rm -rf "$temp"
		die "cannot unpack $tarball"
	}
	for part in "${parts[@]}"; do
		[ -e "$temp/$part" ] || die "$tarball has no $part"
	done
	echo "$version" >"$temp/.version"
	chmod 755 "$temp"
	rm -rf "$to"
	mv "$temp" "$to"
}

(($#)) || set -- base
for group; do
	# Not in a substitution that would hide a wrong name.
	packages "$group" >/dev/null
	mapfile -t wanted < <(packages "$group" | missing)
	case $group in
	programs) ((${#wanted[@]} == 0)) || install_servers "${wanted[@]}" ;;
	*) ((${#wanted[@]} == 0)) || install "${wanted[@]}" ;;
	esac
	case $group in
	base)
		if ! check_kernels; then
			# Image and headers of different releases: one of them is old.
			mapfile -t wanted < <(packages base)
			install "${wanted[@]}"
		fi
		check_kernels || die "no ${kernels[*]/@/image} with headers of the same release"
		;;
	check)
		unpack_source
		;;
	next)
		"$top/tools/debian-tree.sh" update
		;;
	debug) # after next, with FERRY_LINUX: what builds a test kernel from another version
		[ "${FERRY_LINUX:-6.12}" = 6.12 ] ||
			"$top/tools/debian-tree.sh" install "linux-source-$FERRY_LINUX" libc6-dev \
				flex bison bc libelf-dev libssl-dev cpio rsync python3 pahole
		;;
	cross) # after check and next: compilers for other machines
		"$top/tools/debian-tree.sh" install gcc-aarch64-linux-gnu gcc-s390x-linux-gnu \
			libc6-dev flex bison bc
		;;
	esac
done
