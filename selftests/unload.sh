#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Rows X07 and F01 as far as they concern the module as such: unloading is
# refused while a socket lives and leaves nothing, first use loads it.
# It takes the module out and puts it back, so it runs last.

# shellcheck disable=SC2016 # perl has dollars of its own

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# perl is part of every Debian system; bash has no socket(2).
hold='$| = 1; print "ready\n"; <STDIN>; exit 0'
plan=9
number=0
failures=0

result()
{
	number=$((number + 1))
	if (($1 == 0)); then
		echo "ok $number unload.FERRY.$2"
	else
		echo "not ok $number unload.FERRY.$2"
		failures=$((failures + 1))
	fi
}

skip()
{
	number=$((number + 1))
	echo "ok $number unload.FERRY.$1 # SKIP $2"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

# check NAME COMMAND...
check()
{
	local name=$1 status=0

	shift
	"$@" || status=$?
	result "$status" "$name"
}

loaded()
{
	grep -qs '^ferry ' /proc/modules
}

users()
{
	awk '$1 == "ferry" { print $3 }' /proc/modules
}

# The file that the running module came from, as far as one can tell.
find_module()
{
	local file

	for file in "${FERRY_KO:-}" "$here/../build/$(uname -r)/ferry.ko" \
		"$here/../ferry.ko" "$here/ferry.ko"; do
		if [[ -n $file && -e $file ]] &&
			[[ $(modinfo -F vermagic "$file") == "$(uname -r) "* ]]; then
			readlink -f "$file"
			return
		fi
	done
	modinfo -n ferry 2> /dev/null
}

# delete_module(2) itself: rmmod(8) looks at the count and does not even try.
# Its exit status is the errno.
delete_module()
{
	perl -e 'my $name = "ferry";
		exit(syscall(176, $name, 2048) == 0 ? 0 : $!)'
}

works()
{
	perl -e 'socket(my $s, 18, 1, 0) or exit 1'
}

load()
{
	insmod "$module" && works
}

# refused CODE: perl CODE makes sockets; while they live the module stays.
refused()
{
	local status=0 line

	coproc perl -e "$1; $hold"
	# shellcheck disable=SC2153 # set by coproc
	read -r line <&"${COPROC[0]}"
	[[ $line == ready ]] || return 1
	delete_module || status=$?
	echo "# delete_module: errno $status, $(users) references"
	# shellcheck disable=SC2154 # set by coproc
	local pid=$COPROC_PID
	echo >&"${COPROC[1]}"
	wait "$pid" || return 1
	# 11 is EAGAIN.
	((status == 11)) && loaded
}

# Nobody has a reference any more; the last may go a grace period late.
unused()
{
	local i

	for ((i = 0; i < 200; i++)); do
		if [[ $(users) == 0 ]]; then
			return 0
		fi
		sleep 0.05
	done
	echo "# still $(users) references"
	return 1
}

gone()
{
	unused && delete_module && ! loaded &&
		! grep -qi '^ferry' /proc/slabinfo && ! works 2> /dev/null
}

# The kernel asks modprobe for net-pf-18; that the module has this alias is a
# test of its own. Not installed for real: depmod is slow and leaves traces.
autoload()
{
	local config=/run/modprobe.d/ferry-selftest.conf status=0

	mkdir -p "${config%/*}"
	echo "install net-pf-18 /sbin/insmod $module" > "$config"
	if loaded || ! works || ! loaded; then
		status=1
	fi
	rm -f "$config"
	return "$status"
}

# Kernels that can make allocations fail (debug and its kin), and only those
# under a function of the module: nothing else lies where modules lie there. Not
# for the entry of a cache in sysfs, whose name the core forgets to free.
faults=/sys/kernel/debug
faults_for_modules()
{
	local kind from to

	read -r from to < <(awk 'from { print from, $1; exit }
		$3 == "sysfs_slab_add" { from = $1 }' /proc/kallsyms) || return 1
	for kind in failslab fail_page_alloc fail_usercopy; do
		[[ -w $faults/$kind/require-start ]] || return 1
		echo 0 > "$faults/$kind/probability"
		# As fail_nth: the kernel log says where, for tools/fault-sites.sh.
		echo 0 > "$faults/$kind/verbose_ratelimit_interval_ms"
		echo "$((${FERRY_FAULT_TRACE:-0} * 2))" > "$faults/$kind/verbose"
		echo 0xffffffffa0000000 > "$faults/$kind/require-start"
		echo 0xffffffffffffffff > "$faults/$kind/require-end"
		echo "0x$from" > "$faults/$kind/reject-start"
		echo "0x$to" > "$faults/$kind/reject-end"
	done
	echo N > "$faults/failslab/ignore-gfp-wait"
	echo N > "$faults/fail_page_alloc/ignore-gfp-wait"
	echo 0 > "$faults/fail_page_alloc/min-order"
}

faults_for_all()
{
	local kind bound

	for kind in failslab fail_page_alloc fail_usercopy; do
		for bound in require-start reject-start reject-end; do
			echo 0 > "$faults/$kind/$bound"
		done
	done
}

# Each allocation of the initialisation fails once, or with FT_SHARE every n-th; what
# was done until then is undone, down to the last cache. Where the module can do without,
# it works.
loading_fails()
{
	perl -e '
	my ($file, $name, $options, $failed) = ($ARGV[0], "ferry", "", 0);
	my ($share, $step) = split("/", $ENV{FT_SHARE} // "0/1");
	my $n = -($share % $step);
	open(my $module, "<", $file) or die;

	sub quit { print "# allocation $n: @_\n"; exit 1 }
	sub caches {
		open(my $slabs, "<", "/proc/slabinfo") or die;
		return grep { /^ferry/i } <$slabs>;
	}
	# The last reference may go a grace period late; 11 is EAGAIN.
	sub unload {
		for (1 .. 200) {
			return 1 if syscall(176, $name, 2048) == 0;
			return 0 if $! != 11;
			select(undef, undef, undef, 0.05);
		}
		return 0;
	}

	for (my $hit = 1; $hit; ) {
		quit("there is no end") if ($n += $step) > 1000;
		# Cannot be read twice.
		open(my $nth, "+<", "/proc/thread-self/fail-nth") or die;
		syswrite($nth, $n);
		my $err = syscall(313, fileno($module), $options, 0) ? $! + 0 : 0;
		sysread($nth, my $left, 16);
		syswrite($nth, "0");
		$hit = $left == 0;
		if ($err) {
			# 12 is ENOMEM.
			quit("errno $err") if !$hit || $err != 12;
			quit("still there") if -e "/sys/module/ferry" || caches();
			$failed++;
			next;
		}
		socket(my $s, 18, 1, 0) or quit("loaded, but of no use: $!");
		close($s);
		unload() or quit("does not unload: $!");
	}
	print "# ", $n - $step, " allocations, $failed of those tried it cannot do without\n";
	exit($failed == 0);' "$module"
}

if [[ $(uname -m) != x86_64 ]]; then
	skip_all "knows the number of delete_module(2) for x86-64 only"
fi
loaded || skip_all "ferry.ko is not loaded as a module"
module=$(find_module) || skip_all "no ferry.ko for $(uname -r) to load again"
unused || skip_all "somebody else uses the module"

echo "TAP version 13"
echo "1..$plan"

check X07_refused_with_a_socket \
	refused 'socket(my $s, 18, 1, 0) or die'
check X07_refused_with_a_bound_listener \
	refused 'socket(my $s, 18, 1, 0) or die;
		 bind($s, pack("SSx16a*", 18, 0, "unload")) or die; listen($s, 1) or die;
		 socket(my $c, 18, 1, 0) or die;
		 connect($c, pack("SSx16a*", 18, 0, "unload")) or die'
check X07_refused_with_unread_data \
	refused 'socketpair(my $a, my $b, 18, 1, 0) or die; syswrite($a, "x") or die;
		 close $a'
check X07_unloads_when_none_is_left gone
if loaded; then
	# It could not be unloaded: what follows would say nothing.
	skip X07_loads_again "still loaded"
	skip X07_load_use_unload_ten_times "still loaded"
	skip F01_loading_without_memory "still loaded"
	skip F01_first_use_loads_the_module "still loaded"
	skip F01_alias_for_autoloading "still loaded"
	exit 1
fi
check X07_loads_again load
check X07_load_use_unload_ten_times "$here/reload.sh" -m "$module" 10
check F01_alias_for_autoloading \
	grep -qx 'net-pf-18' <(modinfo -F alias "$module")
delete_module || true
if faults_for_modules 2> /dev/null; then
	check F01_loading_without_memory loading_fails
	faults_for_all
else
	skip F01_loading_without_memory "this kernel cannot inject faults"
fi
delete_module || true
check F01_first_use_loads_the_module autoload
loaded || insmod "$module"
((failures == 0))
