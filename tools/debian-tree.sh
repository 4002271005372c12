#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Today's kernel on any Debian: a small Debian 13 in the cache with the newest
# kernel of its backports, and a compiler that fits it. The kernel boots like an
# installed one; modules for it are built inside, as neither its build tools nor
# its compiler run on an older Debian.
#
#	$FERRY_CACHE/debian-13/
#
# Needs root (or sudo) for debootstrap(8) and chroot(8).

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${FERRY_CACHE:-${HOME:-/root}/.cache/ferry}
suite=trixie
tree=$cache/debian-13

usage() {
	cat <<-END
	usage: debian-tree.sh update           make the tree, or bring it up to date
	       debian-tree.sh path             print where it is; fails when it is not there
	       debian-tree.sh kernel           print the release of its kernel
	       debian-tree.sh install PACKAGE...   install what is missing of them in it
	       debian-tree.sh run COMMAND...   run COMMAND in it, as the caller and in the
	                                       caller's directory; it has the checkout and
	                                       the kernels in the cache, by the same paths
	END
}

say() {
	echo "debian-tree: $*" >&2
}

die() {
	say "$*"
	exit 1
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo "$@"
	fi
}

complete() {
	[ -e "$tree/.complete" ]
}

# Where this host has its packages from, so that a local mirror is used here too.
mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

in_tree() {
	as_root chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive "$@"
}

apt() {
	in_tree apt-get -qq -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@"
}

# The newest kernel there is in the backports.
newest() {
	in_tree apt-cache show --no-all-versions "linux-headers-amd64/$suite-backports" |
		sed -n 's/^Depends:.*linux-headers-\([^ ,]*\).*/\1/p'
}

make_tree() {
	local from

	from=$(mirror)
	[ -n "$from" ] || die "apt knows of no Debian to install from"
	say "making a Debian 13 in $tree, a minute"
	as_root rm -rf "$tree" "$tree".new
	mkdir -p "$cache"
	as_root debootstrap --variant=minbase "$suite" "$tree.new" "$from" >"$cache/debian-13.log" 2>&1 ||
		die "debootstrap failed: $(tail -n 5 "$cache/debian-13.log")"
	echo "deb $from $suite-backports main" |
		as_root tee "$tree.new/etc/apt/sources.list.d/backports.list" >/dev/null
	as_root mv "$tree.new" "$tree"
}

# Headers and build tools are installed; image and modules are only unpacked, so
# that nothing is done for a boot that never comes.
install_kernel() {
	local release=$1 package

	say "installing Linux $release"
	apt -t "$suite-backports" install "linux-headers-$release" gcc make kmod sparse xz-utils >/dev/null
	# shellcheck disable=SC2016 # variables of that shell
	in_tree sh -ec '
		release=$1
		cd "$(mktemp -d)"
		apt-get -qq -o APT::Sandbox::User=root download "linux-modules-$release" "linux-binary-$release"
		for package in ./*.deb; do
			dpkg-deb -x "$package" /
		done
		rm -r "$PWD"
		depmod "$release"
	' sh "$release"
	[ -e "$tree/lib/modules/$release/vmlinuz" ] || die "the packages of $release have no kernel"
	for package in "$tree"/lib/modules/*; do
		[ "$package" = "$tree/lib/modules/$release" ] || as_root rm -rf "$package"
	done
}

update() {
	local release

	if ! complete; then
		make_tree
	fi
	as_root cp /etc/resolv.conf "$tree/etc/resolv.conf"
	apt update
	release=$(newest)
	[ -n "$release" ] || die "$suite-backports has no linux-headers-amd64"
	if ! complete || [ "$(cat "$tree/.complete")" != "$release" ]; then
		install_kernel "$release"
		echo "$release" | as_root tee "$tree/.complete" >/dev/null
	fi
}

need_tree() {
	complete || die "there is no tree; tools/setup.sh next makes it"
}

install() {
	local missing

	need_tree
	# shellcheck disable=SC2016 # a variable of that shell
	mapfile -t missing < <(in_tree sh -c '
		for package; do
			dpkg-query -W -f "\${db:Status-Status}" "$package" 2>/dev/null |
				grep -qx installed || echo "$package"
		done' sh "$@")
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	as_root cp /etc/resolv.conf "$tree/etc/resolv.conf"
	apt update
	apt -t "$suite-backports" install "${missing[@]}" >/dev/null
}

run() {
	# shellcheck disable=SC2016 # variables of that shell
	local mount='
		mount -t proc proc "$1/proc"
		tree=$1 where=$2 user=$3
		for dir in "$4" "$5"; do
			mkdir -p "$tree$dir"
			mount --bind "$dir" "$tree$dir"
		done
		shift 5
		exec chroot --userspec="$user" "$tree" sh -c "cd \"\$1\" && shift && exec \"\$@\"" \
			sh "$where" "$@"'

	need_tree
	mkdir -p "$cache/kernels"
	as_root unshare --mount --propagation private -- sh -ec "$mount" sh \
		"$tree" "$PWD" "$(id -u):$(id -g)" "$top" "$cache/kernels" "$@"
}

action=${1:-}
case $action in
update | path | kernel | install | run) shift ;;
-h | --help) usage; exit ;;
*) usage >&2; exit 2 ;;
esac

case $action in
update) update ;;
path)
	complete || exit 1
	echo "$tree"
	;;
kernel)
	complete || exit 1
	cat "$tree/.complete"
	;;
install) install "$@" ;;
run) run "$@" ;;
esac
