# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For check-packages.sh, after check-lib.sh: bare Debian systems, made once by
# debootstrap below $FERRY_CACHE/bare. Each use of one has an overlay in memory.
# Needs root (or sudo).

# top is of check-lib.sh.
# shellcheck disable=SC2154
bare=${FERRY_CACHE:-${HOME:-/root}/.cache/ferry}/bare

die()
{
	say "$*"
	exit 1
}

as_root()
{
	if ((EUID == 0)); then
		"$@"
	else
		sudo "$@"
	fi
}

# mirror LABEL: where this host has its packages from.
mirror()
{
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk -v label="$1" '$1 == "Debian" && $2 == label { print $3; exit }'
}

# bare_system SUITE: makes it, with the suite beside it that has the newer kernel.
bare_system()
{
	local suite=$1 from more

	[[ ! -e $bare/$suite/.complete ]] || return 0
	from=$(mirror Debian)
	case $suite in
	bookworm) more="$(mirror Debian-Security) $suite-security" ;;
	*) more="$from $suite-backports" ;;
	esac
	say "making a bare $suite, a minute"
	mkdir -p "$bare"
	as_root rm -rf "$bare/$suite" "$bare/$suite.new"
	as_root debootstrap --variant=minbase "$suite" "$bare/$suite.new" "$from" \
		> "$bare/$suite.log" 2>&1 || die "debootstrap failed: $(tail -n 5 "$bare/$suite.log")"
	echo "deb $more main" | as_root tee "$bare/$suite.new/etc/apt/sources.list.d/more.list" > /dev/null
	as_root touch "$bare/$suite.new/.complete"
	as_root mv "$bare/$suite.new" "$bare/$suite"
}

# in_system SUITE OUT COMMAND...: runs it there as root, with the checkout, read-only, in
# /src and the directory OUT in /out.
in_system()
{
	# shellcheck disable=SC2016 # variables of that shell
	as_root unshare --mount --pid --fork --kill-child --propagation private -- sh -ec '
		system=$1 work=$1.work
		mkdir -p "$work"
		mount -t tmpfs tmpfs "$work"
		mkdir "$work/upper" "$work/work" "$work/root"
		mount -t overlay overlay -o "lowerdir=$system,upperdir=$work/upper,workdir=$work/work" \
			"$work/root"
		mkdir -p "$work/root/src" "$work/root/out"
		mount --bind -o ro "$2" "$work/root/src"
		mount --bind "$3" "$work/root/out"
		mount -t proc proc "$work/root/proc"
		cp /etc/resolv.conf "$work/root/etc/"
		shift 3
		exec chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root \
			DEBIAN_FRONTEND=noninteractive "$@"
		' sh "$bare/$1" "$top" "$2" "${@:3}"
}

# In there: a copy of the checkout that can be written to, and into it.
copy_sources()
{
	mkdir -p /root/ferry
	tar -C /src --exclude=./build --exclude=./.git --exclude='*.ko' --exclude='*.o' -c . |
		tar -C /root/ferry -x
	cd /root/ferry || exit
}
