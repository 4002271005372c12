#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Does the machine keep its promises? A runner that misses a crash would make
# every other test worthless. Arguments go to vm (--kernel ...).

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../check-lib.sh"

vm=$top/tools/vm/vm
options=(--no-module --quiet "$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect STATUS NAME VM-ARGUMENTS...: what it printed is in $work/out and err.
expect() {
	local wanted=$1 name=$2 status=0

	shift 2
	"$vm" run "${options[@]}" "$@" >"$work/out" 2>"$work/err" || status=$?
	((status == wanted)) || echo "status $status, not $wanted" >>"$work/err"
	result $((status != wanted)) "$name" "$work/err"
}

# verify NAME COMMAND...
verify() {
	local name=$1 status=0

	shift
	"$@" || status=$?
	result "$status" "$name"
}

# Whether process $1 ends, within a minute.
gone() {
	local end=$((SECONDS + 60))

	# A zombie has no executable.
	while [ -e "/proc/$1/exe" ]; do
		((SECONDS < end)) || return 1
	done
}

start=$SECONDS
# shellcheck disable=SC2016 # the machine expands it
expect 0 "all processors run" --cpus 3 -- bash -c '[ "$(nproc)" = 3 ]'
boot=$((SECONDS - start))

head -c 1M /dev/urandom >"$work/data"
expect 7 "output and exit status come out" -- \
	bash -c "cat '$work/data'; echo to the other side >&2; exit 7"
verify "output is exact" cmp "$work/out" "$work/data"
verify "error output is apart" grep -qx 'to the other side' "$work/err"

mkdir "$work/rw"
echo sent >"$work/in"
expect 0 "files can be written" --rw "$work/rw" --stdin -- \
	bash -c "echo changed >'$work/data'; cat - >'$work/rw/file'" <"$work/in"
verify "they reach the host below --rw" cmp "$work/in" "$work/rw/file"
verify "they do not elsewhere" cmp -s "$work/out" /dev/null
verify "the host's file is as it was" test "$(stat -c %s "$work/data")" = 1048576

expect 125 "a panic fails the run" -- bash -c 'echo c >/proc/sysrq-trigger'
verify "and its log is shown" grep -q 'Kernel panic' "$work/err"
expect 125 "a warning in the kernel log fails the run" -- \
	bash -c 'echo "<4>WARNING: a test of the machine" >/dev/kmsg'
expect 125 "powering off early fails the run" -- bash -c 'busybox poweroff -f; sleep 60'
expect 124 "a command that never ends runs out of time" --timeout $((3 * boot + 15)) -- sleep 1000
verify "QEMU tells where each processor was" test "$(grep -cE "^[ER]IP=" "$work/err")" = 2
verify "and so does the kernel" grep -q 'RIP: 0010:' "$work/err"

# A static key switched under traffic: late breakpoints, see int3/int3.c.
# shellcheck disable=SC2016 # variables of perl
expect 0 "it survives code that changes" -- bash -c 'busybox ip link set lo up && exec perl -e "$1"' sh '
	use Socket;
	use constant SO_TIMESTAMP => 29;
	sub udp { socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; return $s }
	my ($to, $end) = (udp(), time + 8);
	bind $to, sockaddr_in(0, INADDR_LOOPBACK) or die;
	my $from = udp();
	connect $from, getsockname $to or die;
	my $child = fork // die;
	for (;; $child) {
		if (!$child) { send $from, "x", 0; recv $to, my $x, 1, MSG_DONTWAIT }
		else { setsockopt udp(), SOL_SOCKET, SO_TIMESTAMP, 1 or die for 1 .. 50; select undef, undef, undef, 0.001 }
		last if time > $end;
	}
	wait if $child'

# shellcheck disable=SC2016 # the machine expands it
expect 0 "two machines have a link" --machines 2 -- bash -c \
	'tools/vm/barrier up && busybox ping -c 1 -W 20 192.168.18.$((3 - FERRY_MACHINE))'
# shellcheck disable=SC2016
expect 125 "one that dies does not keep the other" --machines 2 -- bash -c \
	'[ $FERRY_MACHINE = 1 ] || echo c >/proc/sysrq-trigger; tools/vm/barrier never || :'

# Killed without a chance to clean up, it leaves no QEMU behind.
exec {out}< <(exec "$vm" run "${options[@]}" -- bash -c 'echo up; sleep 1000')
runner=$!
read -r line <&"$out"
run=$(grep -lx "$runner" "${TMPDIR:-/tmp}"/ferry-vm.*/pid)
mapfile -t qemus < <(pgrep -f "ferry.run=${run%/pid}/")
kill -KILL "$runner"
verify "a machine was up" test "$line" = up
verify "its QEMU was found" test "${#qemus[@]}" -ge 1
for qemu in "${qemus[@]}"; do
	verify "QEMU ends when the runner is killed" gone "$qemu"
done
finish
