#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make run" shows: programs that know nothing of the family use it. All
# they are given is the family's number and the bytes of an address. Runs
# inside the machine.

set -euo pipefail

family=18
size=8 # MiB
work=$(mktemp -d)

# The socat processes of this demonstration end with it.
clean_up() {
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || :
	done
	rm -rf "$work"
}
trap clean_up EXIT

fail() {
	echo "The demonstration FAILED: $*" >&2
	exit 1
}

# The address that means a name on this host, as socat's generic sockets want
# it: what follows the family in struct sockaddr_ferry (scope, node, name).
address() {
	printf 'x%036d%s' 0 "$(printf %s "$1" | od -An -v -t x1 | tr -d ' \n')"
}

# serve NAME SOCAT-ARGUMENTS...: a socat that listens on the name; returns when
# it does, so that nobody has to guess how long that takes.
serve() {
	local log=$work/log name=$1 line

	shift
	mkfifo "$log"
	socat -d -d "${@:1:$#-1}" "SOCKET-LISTEN:$family:0:$(address "$name")" "${*: -1}" 2>"$log" &
	server=$!
	exec {messages}<"$log"
	rm "$log"
	while read -r line <&"$messages"; do
		case $line in
		*' listening on '*) return ;;
		*' E '*) break ;;
		esac
	done
	fail "socat cannot listen on \"$name\": ${line:-it ended}"
}

grep -q '^ferry ' /proc/modules || fail "ferry.ko is not loaded"
echo
echo "AF_FERRY on Linux $(uname -r): sockets that meet by name"
echo

# One socat sends a file to another one.
head -c "${size}M" /dev/urandom >"$work/sent"
serve demo/file -u "CREATE:$work/received"
start=${EPOCHREALTIME/./}
socat -u "OPEN:$work/sent" "SOCKET-CONNECT:$family:0:$(address demo/file)" ||
	fail "socat cannot send the file"
wait "$server" || fail "the receiving socat ended with an error"
took=$((${EPOCHREALTIME/./} - start))
sent=$(sha256sum <"$work/sent")
received=$(sha256sum <"$work/received")
echo "1. socat listened on \"demo/file\"; another socat connected and sent a file of $size MiB."
echo "   sent     sha256 ${sent:0:32}..."
echo "   received sha256 ${received:0:32}..."
[ "$sent" = "$received" ] || fail "the file was damaged"
printf '   identical; it took %d.%02d s\n' $((took / 1000000)) $((took / 10000 % 100))

# Perl asks a service made of socat and tr. When the question has ended socat
# grants the answer half a second (-t), which a busy host may need longer for.
serve demo/upper -t 60 EXEC:'tr a-z A-Z'
answer=$(perl -e '
	use strict;
	use Socket;
	my ($family, $name) = @ARGV;
	socket(my $s, $family, SOCK_STREAM, 0) or die "socket: $!\n";
	connect($s, pack("S S x16 a*", $family, 0, $name)) or die "connect: $!\n";
	syswrite($s, "hello, by name\n") or die "write: $!\n";
	shutdown($s, 1) or die "shutdown: $!\n";
	my $line = <$s> // die "no answer\n";
	my ($number, $scope, $peer) = unpack("S S x16 a*", getpeername($s));
	print $line, $peer, "\n";
' "$family" demo/upper) || fail "the Perl client did not succeed"
wait "$server" || fail "the answering socat ended with an error"
echo "2. socat and tr served \"demo/upper\"; Perl connected and said \"hello, by name\"."
echo "   answer   \"${answer%%$'\n'*}\", from the name \"${answer#*$'\n'}\""
[ "$answer" = $'HELLO, BY NAME\ndemo/upper' ] || fail "the answer is wrong"

read -r _ _ users _ < <(grep '^ferry ' /proc/modules)
echo
echo "socat and Perl know nothing of the family: they were given its number, $family, and an"
echo "address. All is closed again: $users users of the module."
echo
