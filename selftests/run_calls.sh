#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ferry run: what every call of AF_UNIX answers under it, what stays outside, and
# what the command says to bad input. run_programs.sh has programs that people use.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/command_lib.sh
. "$(dirname "$0")/command_lib.sh"

# unix_perl SCRIPT ARGUMENT...: a program of AF_UNIX; it says "ready" when it is.
unix_perl='use Socket; use strict; $| = 1;
	sub unix { my ($type, $bind) = @_;
		socket(my $s, AF_UNIX, $type, 0) or die "socket: $!\n";
		!$bind or bind($s, pack_sockaddr_un($bind)) or die "bind: $!\n";
		return $s; }
	sub ready { open(my $f, ">", "ready") or die; close($f); }
	'

# ready: waits until the program that was started says so.
ready()
{
	until [[ -e ready ]]; do
		:
	done
	rm ready
}

tests+=(F01_every_call_answers_as_on_unix)
F01_every_call_answers_as_on_unix()
{
	cp "$here/unix_calls" "$work/"
	mkdir "$work/plain" "$work/run"
	cd "$work/plain"
	try 0 "$work/unix_calls"
	mv "$work/out" "$work/said.plain"
	cd "$work/run"
	try 0 "$ferry" run -- "$work/unix_calls"
	mv "$work/out" "$work/said.run"
	(($(wc -l < "$work/said.plain") > 250)) || note "said too little"
	diff -U 3 "$work/said.plain" "$work/said.run" >&2
}

# That the answers are right is no proof that they are those of AF_FERRY.
tests+=(P05_all_sockets_are_of_the_family)
P05_all_sockets_are_of_the_family()
{
	local counts

	cd "$work"
	counts=$("$ferry" run -- perl -e "$unix_perl"'
		my @s = (unix(SOCK_STREAM, "a"), unix(SOCK_DGRAM, "b"));
		listen($s[0], 1);
		push @s, my $c = unix(SOCK_STREAM);
		connect($c, pack_sockaddr_un("a")) or die "connect: $!\n";
		accept(my $d, $s[0]) or die;
		socketpair(my $e, my $f, AF_UNIX, SOCK_STREAM, 0) or die;
		open(my $list, "<", "/proc/net/ferry") or die;
		my %ino = map { /^ *(\d+)/ ? ($1 => 1) : () } <$list>;
		print scalar(grep { (readlink($_) // "") =~ /^socket:\[(\d+)/ && $ino{$1} } glob("/proc/self/fd/*")),
			" of ", scalar(grep { (readlink($_) // "") =~ /^socket:/ } glob("/proc/self/fd/*")), "\n"')
	is "$counts" "6 of 6"
}

tests+=(F02_names_show_the_path)
F02_names_show_the_path()
{
	local pid

	cd "$work"
	"$ferry" run -- perl -e "$unix_perl"'my $s = unix(SOCK_STREAM, $ARGV[0]); listen($s, 1);
		ready(); sleep 1000' "$work/a.sock" & pid=$!
	ready
	try 0 "$ferry" ss -l -H
	[[ $out =~ \ unix:[0-9a-zA-Z_-]{11}:$work/a.sock($|\ ) ]] || note "ss: $out"
	kill "$pid"
}

tests+=(F02_servers_outside_are_reached)
F02_servers_outside_are_reached()
{
	local type pid

	cd "$work"
	for type in STREAM SEQPACKET; do
		perl -e "$unix_perl"'my $s = unix(SOCK_'$type', "outside"); listen($s, 1); ready();
			accept(my $c, $s); recv($c, my $b, 10, 0); send($c, uc $b, 0);' & pid=$!
		ready
		try 0 "$ferry" run -- perl -e "$unix_perl"'my $s = unix(SOCK_'$type');
			setsockopt($s, SOL_SOCKET, SO_PASSCRED, 1);
			connect($s, pack_sockaddr_un("outside")) or die "connect: $!\n";
			unpack("i", getsockopt($s, SOL_SOCKET, SO_PASSCRED)) or die "option\n";
			send($s, "hello", 0); recv($s, my $b, 10, 0); print $b;
			open(my $l, "<", "/proc/net/ferry"); my @l = <$l>; print scalar(@l) - 1'
		is "$out" HELLO0
		ends "$pid" 0
		rm outside
	done
}

tests+=(F07_datagrams_to_servers_outside)
F07_datagrams_to_servers_outside()
{
	local pid name

	cd "$work"
	for name in outside '\0outside'; do
		perl -e "$unix_perl"'my $s = unix(SOCK_DGRAM, "'"$name"'"); ready();
			for (1, 2) { recv($s, my $b, 10, 0); print $b }' > said & pid=$!
		ready
		try 0 "$ferry" run -- perl -e "$unix_perl"'my $s = unix(SOCK_DGRAM, "inside'"$name"'");
			send($s, "to", 0, pack_sockaddr_un("'"$name"'")) or die "send: $!\n";
			$s = unix(SOCK_DGRAM);
			connect($s, pack_sockaddr_un("'"$name"'")) or die "connect: $!\n";
			send($s, "connected", 0) or die "send: $!\n"'
		ends "$pid" 0
		is "$(< said)" toconnected
		rm -f outside inside*
	done
}

tests+=(F02_clients_outside_are_refused)
F02_clients_outside_are_refused()
{
	local pid

	cd "$work"
	"$ferry" run -- perl -e "$unix_perl"'my $s = unix(SOCK_STREAM, "inside"); listen($s, 1);
		ready(); sleep 1000' & pid=$!
	ready
	try 111 perl -e "$unix_perl"'my $s = unix(SOCK_STREAM); connect($s, pack_sockaddr_un("inside")) or exit $!'
	kill "$pid"
}

# ---- --map ----

tests+=(F02_a_path_may_mean_a_name)
F02_a_path_may_mean_a_name()
{
	local pid path

	cd "$work"
	mkdir dir
	# The server is of AF_UNIX, the client of AF_FERRY, and the other way round.
	for path in dir/mapped ./dir/mapped "$work/dir/mapped" @mapped; do
		"$ferry" run --map "$path=demo/mapped" -- perl -e "$unix_perl"'my $s = unix(SOCK_STREAM, $ARGV[0] =~ s/^@/\0/r);
			listen($s, 1); print map({ s/^\0/@/r } sockaddr_un(getsockname($s))), "\n"; ready();
			accept(my $c, $s); print $c "hello\n"' "$path" > said & pid=$!
		ready
		try 0 "$ferry" connect demo/mapped
		is "$out" hello
		ends "$pid" 0
		if [[ $path == @* ]]; then
			is "$(< said)" "$path"
		else
			is "$(< said)" "$work/dir/mapped"
			rm dir/mapped
		fi
	done
	"$ferry" listen demo/mapped <<< "from the name" > /dev/null & pid=$!
	there -l demo/mapped
	cd dir
	try 0 "$ferry" run -m "$work/dir/mapped=demo/mapped" -m other=demo/other -- perl -e "$unix_perl"'my $s = unix(SOCK_STREAM);
		connect($s, pack_sockaddr_un("mapped")) or die "connect: $!\n"; shutdown($s, 1);
		print <$s>, sockaddr_un(getpeername($s))'
	is "$out" $'from the name\n'"$work/dir/mapped"
	ends "$pid" 0
}

tests+=(F02_a_path_may_mean_another_host)
F02_a_path_may_mean_another_host()
{
	cd "$work"
	# There is no way to it yet.
	try "$(perl -MErrno -e 'print Errno::ENETUNREACH')" "$ferry" run --map far=ferry://192.0.2.1/demo/far -- \
		perl -e "$unix_perl"'my $s = unix(SOCK_STREAM); connect($s, pack_sockaddr_un("far")) or exit $!'
}

tests+=(F08_programs_of_the_family_can_be_answered)
F08_programs_of_the_family_can_be_answered()
{
	local pid

	cd "$work"
	"$ferry" run --map question=demo/question -- perl -e "$unix_perl"'my $s = unix(SOCK_DGRAM, "question"); ready();
		my $from = recv($s, my $b, 100, 0); send($s, uc $b, 0, $from) or die "send: $!\n"' & pid=$!
	ready
	try 0 "$ferry" connect -t dgram --count 1 demo/question <<< "a question"
	is "$out" "A QUESTION"
	ends "$pid" 0
}

# ---- the command ----

tests+=(X05_the_program_is_left_as_it_is)
X05_the_program_is_left_as_it_is()
{
	try 7 "$ferry" run -- sh -c 'exit 7'
	try 0 "$ferry" run printf '%s,' --map a -- b
	is "$out" "--map,a,--,b,"
	# SIGPIPE as it was.
	try 0 "$ferry" run -- grep '^SigIgn' /proc/self/status
	is "$out" "$(grep '^SigIgn' /proc/self/status)"
	try 0 sh -c 'trap "" PIPE; exec "$@"' sh "$ferry" run -- perl -e 'print $SIG{PIPE}'
	is "$out" IGNORE
	try 0 env LD_PRELOAD= "$ferry" run -- "$ferry" run -- sh -c 'echo "$LD_PRELOAD"'
	is "$out" "$work/libferry-preload.so:$work/libferry-preload.so"
}

tests+=(X06_what_cannot_be_run)
X06_what_cannot_be_run()
{
	cd "$work"
	try 2 "$ferry" run
	one_line "ferry run: a program is missing; see ferry run --help"
	for map in x =x x= 'x=a\q' $'x\ny=a' 'x=ferry://[fe80::1%lo]/a'; do
		try 2 "$ferry" run --map "$map" -- true
		one_line "ferry run: --map*"
	done
	try 127 "$ferry" run -- nosuchprogram
	one_line "ferry run: cannot run nosuchprogram: No such file*"
	try 126 "$ferry" run -- /etc/passwd
	one_line "ferry run: cannot run /etc/passwd: Permission denied"
	try 126 "$ferry" run -- busybox true
	one_line "ferry run: /*busybox is linked statically: its sockets would stay AF_UNIX ones"
	cp /usr/bin/env "$work/setgid"
	chgrp 65534 "$work/setgid"
	chmod g+s "$work/setgid"
	try 126 "$ferry" run -- "$work/setgid"
	one_line "ferry run: $work/setgid changes its user or group ID*"
	mkdir "$work/alone"
	cp "$ferry" "$work/alone/"
	try 1 "$work/alone/ferry" run -- true
	one_line "ferry run: libferry-preload.so is neither*"
}

run_tests "$@"
