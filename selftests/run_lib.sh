# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests of programs under "ferry run" are written in, beside command_lib.sh.
# That traffic crossed AF_FERRY is told by the kernel: the totals of FERRY_INFO of all
# sockets there are, while no socket of AF_UNIX exists.

# shellcheck source=selftests/command_lib.sh
. "$(dirname "$0")/command_lib.sh"

# need PROGRAM...: those that a test runs.
need()
{
	local name

	for name in "$@"; do
		command -v "$name" > /dev/null || skip "$name is not installed (tools/setup.sh programs)"
	done
}

inside()
{
	exec "$ferry" run -- "$@"
}

# waits PID COMMAND...: until the command succeeds, which the process is to bring
# about: not longer than it lives, nor than run.sh gives a program.
waits()
{
	local pid=$1 end=$((SECONDS + 200))

	shift
	until "$@" > /dev/null 2>&1; do
		kill -0 "$pid" 2> /dev/null || note "process $pid ended, and not: $*"
		((SECONDS < end)) || note "not in time: $*"
		sleep 0.1
	done
}

# listens PID PATH: waits until somebody listens there.
listens()
{
	waits "$1" "$ferry" ss -l "unix:*:$2"
}

# Bytes and records that the sockets there are have sent and received.
totals()
{
	perl -e 'open(my $list, "<", "/proc/net/ferry") or die;
		my %ino = map { /^ *(\d+)/ ? ($1 => 1) : () } <$list>;
		my $sum = 0;
		for my $link (glob("/proc/[0-9]*/fd/*")) {
			(readlink($link) // "") =~ /^socket:\[(\d+)/ && delete $ino{$1} or next;
			my ($pid, $fd) = $link =~ /(\d+).*?(\d+)$/;
			# pidfd_open, pidfd_getfd
			my $proc = syscall(434, $pid + 0, 0);
			my $got = syscall(438, $proc, $fd + 0, 0);
			open(my $s, "+<&=", $got) or die "descriptor $fd of $pid: $!\n";
			my $info = getsockopt($s, 400, 4) or die "FERRY_INFO: $!\n";
			my ($received, $sent) = unpack("x24 QQ", $info);
			$sum += $received + $sent;
			open(my $p, "<&=", $proc);
		}
		print "$sum\n"'
}

# crossed MINIMUM: so much went over AF_FERRY by the sockets there are, nothing
# over AF_UNIX.
crossed()
{
	local total

	total=$(totals)
	((total >= $1)) || note "$total bytes and records instead of $1: $("$ferry" ss -p)"
	(($(wc -l < /proc/net/unix) == 1)) || note "AF_UNIX: $(cat /proc/net/unix)"
	echo "# $total bytes and records by $(($(wc -l < /proc/net/ferry) - 1)) sockets" >&3
}

# stop PID...: of servers; how they end does not matter.
stop()
{
	kill "$@"
	wait "$@" || :
}
