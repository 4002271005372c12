#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Load the module, have traffic over it, unload it: many times over, and then
# look whether something stays behind. The module is loaded at the end.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
module=$here/../build/$(uname -r)/ferry.ko
verbose=

usage()
{
	echo "usage: reload.sh [-m FERRY.KO] [-v] [ROUNDS]   (100 rounds)"
}

while getopts hm:v option; do
	case $option in
	h) usage; exit 0 ;;
	m) module=$OPTARG ;;
	v) verbose=1 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
rounds=${1:-100}
((rounds > 0)) || { usage >&2; exit 2; }

fail()
{
	echo "reload.sh: $*" >&2
	exit 1
}

loaded()
{
	grep -q '^ferry ' /proc/modules
}

unload()
{
	local i

	# The last reference may go a grace period after the last close.
	for ((i = 0; i < 200; i++)); do
		if rmmod ferry 2> /dev/null; then
			return 0
		fi
		sleep 0.05
	done
	rmmod ferry
}

# Modules loaded.
modules()
{
	wc -l < /proc/modules
}

# Caches of ours, which have to go with the module.
caches()
{
	awk 'tolower($1) ~ /^ferry/' /proc/slabinfo | wc -l
}

# KiB in use in the general caches, where the rest is allocated. What each processor
# has put aside counts as used until they are shrunk.
general()
{
	local cache

	sync
	echo 3 > /proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/kmalloc-*/shrink; do
		[[ ! -w $cache ]] || echo 1 > "$cache"
	done
	awk '/^kmalloc-/ { sum += $2 * $4 } END { print int(sum / 1024) }' \
		/proc/slabinfo
}

[[ -e $module ]] || fail "$module is not there"
if loaded; then
	unload || fail "the module is in use"
fi
modules_before=$(modules)
caches_before=$(caches)

for ((round = 1; round <= rounds; round++)); do
	insmod "$module"
	if ((round % 2)); then
		"$here/many" -n 20 > /dev/null
	else
		# What is unread, unaccepted and half closed at the end.
		perl -e 'my $name = pack("SSx16a*", 18, 0, "reload");
			 socket(my $l, 18, 1, 0) or die "socket: $!";
			 bind($l, $name) && listen($l, 9) or die "listen: $!";
			 socketpair(my $a, my $b, 18, 1, 0) or die "socketpair: $!";
			 syswrite($a, "x" x 20000) or die "write: $!";
			 my @c;
			 for (1 .. 5) {
				socket(my $c, 18, 1, 0) or die "socket: $!";
				connect($c, $name) or die "connect: $!";
				syswrite($c, "y" x 100);
				shutdown($c, 1);
				push @c, $c;
			 }
			 accept(my $d, $l); sysread($d, my $buf, 10)'
	fi
	unload || fail "round $round: cannot be unloaded"
	[[ $(caches) == "$caches_before" ]] ||
		fail "round $round: $(caches) caches left"
	# The first rounds fill what the kernel keeps for good.
	if ((round == (rounds + 4) / 5)); then
		general_before=$(general)
	fi
	if [[ -n $verbose ]] && ((round % 10 == 0)); then
		echo "# round $round: $(modules) modules, $(general) KiB in general caches"
	fi
done

# What is freed after a grace period goes by and by, in batches of some seconds.
end=$((SECONDS + 20))
while general_after=$(general); ((general_after >= general_before + 64 && SECONDS < end)); do
	sleep 0.2
done
echo "# $rounds rounds: modules $modules_before -> $(modules)," \
	"own caches $caches_before -> $(caches)," \
	"general caches $general_before -> $general_after KiB"
# Without a leak it goes up and down by some 15 KiB.
((general_after < general_before + 64)) ||
	fail "the general caches grew"
[[ $(modules) == "$modules_before" ]] || fail "the number of modules changed"
insmod "$module"
