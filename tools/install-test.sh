#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make modules_install" installed is loaded when a program first asks for
# the family, and after "make modules_uninstall" no more. In the machine, without
# the module: it mounts the new tree in the place of the system's modules. Before
# and after, the ferry command says what is missing.
#
# usage: install-test.sh TREE [dkms]     (the INSTALL_MOD_PATH of the installation;
#                                        DKMS's, which it removes elsewhere)

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

# says STATUS PATTERN ARGUMENTS...: the ferry command ends so and says something like it.
says()
{
	local want=$1 pattern=$2 status=0 said

	shift 2
	said=$("$top/build/tools/ferry" "$@" 2>&1 < /dev/null) || status=$?
	# shellcheck disable=SC2053 # a pattern
	[[ $status == "$want" && $said == $pattern ]] ||
		die "ferry $* ended with $status and said: $said"
}

# Without the module, installed or not, every subcommand has one line to say.
says_nothing_is_there()
{
	local line="this kernel has no AF_FERRY; 'ferry doctor' tells what is missing"

	says 3 "ferry listen: $line" listen x
	says 3 "ferry connect: $line" connect x
	says 3 "ferry send: $line" send -M x x
	says 3 "ferry recv: $line" recv x
	says 3 "ferry run: $line" run -- true
	says 3 "ferry ss: ferry.ko is not loaded; *" ss
	says 1 "*bad   family *bad   module    none is installed for this kernel*to mend" doctor
}

# unit KEY: what the unit of the port does there, though no systemd runs here.
unit()
{
	sed -n "s/^$1=\(.*\)%i/\14077/p; s/^$1=//p" "$top/packaging/systemd/ferry-port@.service" |
		sh -e
	read -r port < /proc/sys/net/ferry/port
}

! grep -q '^ferry ' /proc/modules || die "the module is there already"
! works 2> /dev/null || die "loaded from where?"
says_nothing_is_there
# What the module stands on is the kernel's, and not in the tree.
depends=$(find "$1$modules" -name 'ferry.ko*' -exec modinfo -F depends {} \;)
for needed in ${depends//,/ }; do
	modprobe "$needed"
done
mount --bind "$1$modules" "$modules"
# Kept from being loaded, as a distribution does with families that few use.
mkdir -p /run/modprobe.d
echo 'blacklist ferry' > /run/modprobe.d/ferry-test.conf
says 1 "*is kept from being loaded by /run/modprobe.d/ferry-test.conf*" doctor
rm /run/modprobe.d/ferry-test.conf
works || die "installed, but nobody finds it"
says 0 "*ok    module    $modules/*all is well" doctor
[[ $(modinfo -n ferry) == "$modules"/* ]] || die "not from the tree"
unload
works || die "found only once"
unload
unit ExecStart
[[ $port == 4077 ]] || die "the unit did not set the port but to $port"
unit ExecStop
[[ $port == 0 ]] || die "the unit left the port at $port"
unload
[[ ${2:-} != dkms ]] || exit 0
make -s -C "$top" modules_uninstall "KERNELRELEASE=$(uname -r)"
! works 2> /dev/null || die "removed, but still found"
says_nothing_is_there
! find "$modules" -name 'ferry.ko*' | grep . || die "removed, but still there"
