#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make modules_install" installed is loaded when a program first asks for
# the family, and after "make modules_uninstall" no more. In the machine, without
# the module: it mounts the new tree in the place of the system's modules.
#
# usage: install-test.sh TREE     (the INSTALL_MOD_PATH of the installation)

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
modules=/lib/modules/$(uname -r)

works()
{
	perl -e 'socket(my $s, 18, 1, 0) or die "socket: $!\n"'
}

die()
{
	echo "$*" >&2
	exit 1
}

# The last reference on the module may go a grace period late.
unload()
{
	local i

	for ((i = 0; i < 200; i++)); do
		rmmod ferry 2> /dev/null && return
		sleep 0.05
	done
	die "the module does not go"
}

! grep -q '^ferry ' /proc/modules || die "the module is there already"
mount --bind "$1$modules" "$modules"
works || die "installed, but nobody finds it"
[[ $(modinfo -n ferry) == "$modules"/* ]] || die "not from the tree"
unload
works || die "found only once"
unload
make -s -C "$top" modules_uninstall "KERNELRELEASE=$(uname -r)"
! works 2> /dev/null || die "removed, but still found"
! find "$modules" -name 'ferry.ko*' | grep . || die "removed, but still there"
