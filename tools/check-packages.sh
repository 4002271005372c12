#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make deb" makes, on Debian 12 and 13: in a bare system the packages build from
# what debian/control asks for, lintian has nothing to say, they install, DKMS builds
# the module for each kernel, and nothing is left when they are purged. The same for
# "make dkms_install" and dkms(8) by hand. What DKMS installed is loaded by socket(2)
# in the machine, for each kernel that this host can boot.
#
# usage: check-packages.sh [bookworm | trixie]...

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"
# shellcheck source=tools/bare-lib.sh
. "$top/tools/bare-lib.sh"

apt()
{
	INITRD=No apt-get -qq -y -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@"
}

step_build()
{
	copy_sources
	apt update
	apt build-dep .
	make deb
	rm -rf /out/*
	cp build/deb/{ferry-dkms,ferry-tools,python3-ferry}_*.deb /out/
	apt install lintian
	lintian --allow-root --fail-on warning,error build/deb/*.changes
}

# The headers of both kernels that a suite has.
headers()
{
	case $1 in
	bookworm) printf '%s\n' linux-headers-amd64 linux-headers-6.12-amd64 ;;
	*)
		echo linux-headers-amd64
		apt-cache show --no-all-versions "linux-headers-amd64/$1-backports" |
			sed -n 's/^Depends:.*\(linux-headers-[^ ,]*\).*/\1/p'
		;;
	esac
}

# Everything that has our name, or is a module.
files()
{
	find / -xdev \( -path /proc -o -path /src -o -path /out -o -path /root -o -path /sys -o \
		-path /var/lib/apt -o -path /var/cache -o -path /tmp \) -prune -o \
		\( -iname '*ferry*' -o -path '/lib/modules/*.ko*' \) -print | sort
}

installed()
{
	local release found=0

	for release in /lib/modules/*; do
		release=${release##*/}
		dkms status ferry/"$version" -k "$release" | grep -q ': installed' ||
			dkms install ferry/"$version" -k "$release"
		dkms status ferry/"$version" -k "$release" | grep ': installed'
		modinfo -k "$release" -n ferry | grep "^/lib/modules/$release/updates/dkms/ferry.ko"
		modinfo -k "$release" -F alias ferry | grep -x net-pf-18
		[[ $(modinfo -k "$release" -F vermagic ferry) == "$release "* ]]
		found=$((found + 1))
	done
	((found == 2))
}

step_install()
{
	local version names before release

	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' /src/dkms.conf)
	apt update
	mapfile -t names < <(headers "$1")
	apt install man-db gcc libc6-dev "${names[@]}"
	before=$(files)

	apt install /out/*.deb
	# The package alone has it built, for one kernel at the least.
	dkms status | grep "^ferry/$version,.*: installed"
	installed
	[[ $(ferry --version) == "ferry $version" ]]
	man -w 1 ferry
	man -w 7 af_ferry
	python3 -c 'import ferry; ferry.Address("x")'
	echo '#include <sys/socket.h>
	#include <linux/ferry.h>
	int main(void) { return AF_FERRY == 18 ? 0 : 1; }' | gcc -xc - -o /tmp/uses
	for release in /lib/modules/*; do
		release=${release##*/}
		mkdir -p "/out/modules/$release/lib/modules/$release"
		cp -r "/lib/modules/$release"/{updates,modules.*} \
			"/out/modules/$release/lib/modules/$release/"
	done
	apt purge ferry-dkms ferry-tools python3-ferry
	diff <(echo "$before") <(files)
	[[ -z $(dkms status) ]]

	# By hand.
	copy_sources
	make -s dkms_install
	dkms add "ferry/$version"
	release=$(basename "$(printf '%s\n' /lib/modules/* | sort -V | tail -n 1)")
	dkms build "ferry/$version" -k "$release"
	dkms install "ferry/$version" -k "$release"
	modinfo -k "$release" -n ferry
	dkms remove "ferry/$version" --all
	! modinfo -k "$release" -n ferry 2> /dev/null || return 1
	rm -r "/usr/src/ferry-$version"
	diff <(echo "$before") <(files)
}

if [[ ${1:-} == --step ]]; then
	"step_$2" "$3"
	exit
fi

# step SUITE NAME TEXT: one test of ours.
step()
{
	local status=0 log=$top/build/packages-$1-$2.log

	in_system "$1" "$output" /src/tools/check-packages.sh --step "$2" "$1" \
		> "$log" 2>&1 || status=$?
	tail -n 40 "$log" > "$log.end"
	result "$status" "$3, $1" "$log.end"
	return "$status"
}

# A module that DKMS built on another Debian loads into that Debian's kernel.
loads()
{
	local tree release status

	for tree in "$output/modules"/*; do
		release=${tree##*/}
		if ! "$top/tools/vm/vm" kernels | grep -qxF "$release"; then
			echo "ok - what DKMS installed loads by itself on $release # SKIP this host cannot boot it"
			skipped=$((skipped + 1))
			continue
		fi
		status=0
		"$top/tools/vm/vm" run --kernel "$release" --no-module --timeout 300 -- \
			"$top/tools/install-test.sh" "$tree" dkms > "$output/load.log" 2>&1 || status=$?
		result "$status" "what DKMS installed loads by itself on $release" "$output/load.log"
	done
}

(($#)) || set -- bookworm trixie
make -s -C "$top" tools
for suite; do
	output=$top/build/packages/$suite
	mkdir -p "$output"
	bare_system "$suite"
	step "$suite" build "the packages build, lintian is silent" || continue
	step "$suite" install "they install, DKMS builds the module, purged they leave nothing" || continue
	loads
done
finish
