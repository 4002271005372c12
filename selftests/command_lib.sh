# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests of the ferry command (tools/ferry, "make tools") are written
# in, and what runs them: a program adds its functions to the array "tests" and
# ends with run_tests "$@", whose arguments are the tests to run instead of all.

set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
built=${FERRY_COMMAND:-$here/../build/tools/ferry}
program=$(basename "$0" .sh)
tests=()
# shellcheck disable=SC2034 # the tests read them
out=
err=

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

# skip REASON: ends the test, which is counted as skipped.
skip()
{
	echo "$*" > "$work/skip"
	exit 0
}

# note TEXT: why a test is about to fail.
note()
{
	echo "# $*"
	return 1
}

# contents FILE VARIABLE: as $(< FILE), but without a process.
contents()
{
	local -n to=$2

	to=
	IFS= read -rd '' to < "$1" || :
	while [[ $to == *$'\n' ]]; do
		to=${to%$'\n'}
	done
}

# try STATUS COMMAND...: ends with the status; $out and $err have what it said.
try()
{
	local want=$1 status=0

	shift
	"$@" > "$work/out" 2> "$work/err" || status=$?
	contents "$work/out" out
	contents "$work/err" err
	((status == want)) || note "status $status instead of $want: $* ($err)"
}

# one_line PATTERN: standard error was one line, and like this.
one_line()
{
	[[ -n $err && $err != *$'\n'* ]] || note "not one line: $err"
	# shellcheck disable=SC2053 # $1 is a pattern
	[[ $err == $1 ]] || note "said: $err"
}

# is WHAT IT
is()
{
	[[ $1 == "$2" ]] || note "'$1' instead of '$2'"
}

# there ARGUMENT...: waits until ferry ss shows a socket: -l NAME for one to connect to.
there()
{
	until "$ferry" ss "$@" > /dev/null 2>&1; do
		:
	done
}

# ends PID STATUS: a process started in the background.
ends()
{
	local status=0

	wait "$1" || status=$?
	((status == $2)) || note "process ended with $status instead of $2"
}

# In a process group of a terminal's, where SIGINT is not ignored.
interruptible()
{
	exec env --default-signal=INT "$@"
}

# closed_output COMMAND...: its standard output is a pipe that nobody reads.
closed_output()
{
	perl -e 'pipe(my $r, my $w); close($r); open(STDOUT, ">&", $w); exec @ARGV' "$@"
}

# bound_with SIZE NAME HOLD...: runs HOLD with a listener bound to the name with
# the length of an address of SIZE bytes.
bound_with()
{
	local size=$1 name=$2

	shift 2
	perl -e 'my ($size, $name, @hold) = @ARGV;
		socket(my $s, 18, 1, 0) or die "socket: $!\n";
		bind($s, pack("SSx16a" . ($size - 20), 18, 0, $name)) or die "bind: $!\n";
		listen($s, 5) or die "listen: $!\n";
		exit(system(@hold) >> 8)' "$size" "$name" "$@"
}

# Another user.
as_nobody()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

end_jobs()
{
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2> /dev/null || :
	done
	wait
}

# A process of its own with errexit; what it left behind goes with it.
run_test()
{
	set -e
	trap 'end_jobs' EXIT
	"$1"
}

# Are the test's sockets gone? Who was killed at its end may still be about to die.
gone()
{
	local end=$((SECONDS + 30))

	until (($(wc -l < /proc/net/ferry) == 1)); do
		((SECONDS < end)) || return
	done
}

# Ends a test's process group when it has had its time, and says what ran then. Reading
# the own end of a pipe waits without a process more.
watchdog()
{
	read -r -t 240 -u 9 9<> "$work/watchdog" || :
	echo "# stopped after 240 s, in:"
	ps -o pid,wchan:24,args -p "$(pgrep -d , -g "$1")" | sed 's/^/# /'
	kill -KILL -- "-$1"
}

run_tests()
{
	local test number=0 failures=0 status result start reason pid

	[[ -x $built ]] || skip_all "the command is not built (make tools)"
	umask 022
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	# Where any user can run it.
	ferry=$work/ferry
	cp "$built" "$(dirname "$built")/libferry-preload.so" \
		"$(dirname "$built")/../bench/ferry-bench" "$work"
	mkfifo "$work/watchdog"

	(($# == 0)) || tests=("$@")
	echo "TAP version 13"
	echo "1..${#tests[@]}"
	for test in "${tests[@]}"; do
		number=$((number + 1))
		start=${EPOCHREALTIME/./}
		find "$work" -mindepth 1 ! -name ferry ! -name ferry-bench ! -name libferry-preload.so \
			! -name watchdog -delete
		status=0
		# Not a part of a condition, where errexit would not hold; a process
		# group, of which nobody outlives the test, however it ended.
		set -m
		(set +m; run_test "$test") < /dev/null 2> "$work/stderr" &
		pid=$!
		watchdog "$pid" &
		disown
		set +m
		wait "$pid" || status=$?
		kill -KILL -- "-$pid" -$! 2> /dev/null || :
		if ((status == 0)) && ! gone; then
			echo "# sockets are left:"
			sed 's/^/# /' /proc/net/ferry
			status=1
		fi
		result=ok
		if ((status)); then
			sed 's/^/# /' "$work/stderr"
			result="not ok"
			failures=$((failures + 1))
		fi
		echo "# $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
		reason=
		[[ ! -e $work/skip ]] || reason=" # SKIP $(< "$work/skip")"
		echo "$result $number $program.FERRY.$test$reason"
	done
	((failures == 0))
}
