#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs of Debian, as they are, under "ferry run": what they do with AF_UNIX
# works, and goes over AF_FERRY. Larger ones are in run_servers.sh.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/run_lib.sh
. "$(dirname "$0")/run_lib.sh"

tests+=(F07_redis)
F07_redis()
{
	local server line commands

	need redis-server redis-benchmark redis-cli
	cd "$work"
	inside redis-server --port 0 --unixsocket "$work/redis" --save '' --appendonly no > log & server=$!
	listens "$server" "$work/redis"
	try 0 "$ferry" run -- redis-benchmark -s "$work/redis" -n 1000 -c 10 -d 100 -t set,get --csv
	is "$(grep -cE '^"(SET|GET)","[1-9]' <<< "$out")" 2
	# A client that stays: what it says and hears can be counted.
	coproc inside redis-cli -s "$work/redis"
	echo "set key $(printf 'v%.0s' {1..1000})" >&"${COPROC[1]}"
	read -r line <&"${COPROC[0]}"
	is "$line" OK
	echo "get key" >&"${COPROC[1]}"
	read -r line <&"${COPROC[0]}"
	is "${#line}" 1000
	echo "info stats" >&"${COPROC[1]}"
	while read -r line <&"${COPROC[0]}"; do
		[[ $line != total_commands_processed:* ]] || break
	done
	commands=${line#*:}
	((${commands%$'\r'} >= 2002)) || note "the server has seen $commands commands"
	crossed 2000
	stop "$server"
}

tests+=(F07_memcached)
F07_memcached()
{
	local server

	need memcached
	mkdir -m 777 "$work/dir"
	cd "$work/dir"
	inside memcached -s "$work/dir/memcached" -a 0777 -u nobody & server=$!
	listens "$server" "$work/dir/memcached"
	is "$(stat -c %a memcached)" 777
	# Another user, whom the mode lets in.
	as_nobody "$ferry" run -- perl -e 'use IO::Socket::UNIX; use strict; $| = 1;
		my $s = IO::Socket::UNIX->new(Peer => shift) or die "connect: $!\n";
		for my $i (1 .. 50) {
			print $s "set key$i 0 0 1000\r\n", "x" x 1000, "\r\n";
			<$s> eq "STORED\r\n" or die "not stored\n";
			print $s "get key$i\r\n";
			<$s> eq "VALUE key$i 0 1000\r\n" && length(<$s>) == 1002 && <$s> eq "END\r\n" or die "not there\n";
		}
		print "done\n"; <STDIN>' "$work/dir/memcached" < <(exec sleep 1000) > said &
	waits $! test -s said
	crossed 100000
	stop $! "$server"
}

tests+=(F07_python_asyncio_and_multiprocessing)
F07_python_asyncio_and_multiprocessing()
{
	need /usr/bin/python3
	cat > "$work/program.py" <<-'END'
	import asyncio, multiprocessing, os, socket, sys
	from multiprocessing.connection import Client, Listener

	async def echo(reader, writer):
	    while data := await reader.read(65536):
	        writer.write(data)
	        await writer.drain()
	    writer.close()

	async def talk(path, n):
	    reader, writer = await asyncio.open_unix_connection(path)
	    assert writer.get_extra_info("socket").family == socket.AF_UNIX
	    assert writer.get_extra_info("peername") == path
	    message = bytes([n]) * 100000
	    writer.write(message)
	    writer.write_eof()
	    assert await reader.read() == message
	    writer.close()

	async def with_asyncio(path):
	    async with await asyncio.start_unix_server(echo, path):
	        await asyncio.gather(*(talk(path, n) for n in range(5)))
	    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
	    assert (await process.communicate(b"hello"))[0] == b"hello"

	def datagrams():
	    a, b = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for i in "ab")
	    a.bind("a")
	    b.bind("b")
	    a.sendto(b"x", "b")
	    assert b.recvfrom(10) == (b"x", "a")
	    b.sendmsg([b"y"], [], 0, "a")
	    assert a.recvmsg(10)[3] == "b"

	def child(path, key):
	    with Client(path, authkey=key) as connection:
	        connection.send([n * n for n in connection.recv()])

	def take(connection, name):
	    # A socket and a file by SCM_RIGHTS.
	    with connection.recv() as s, open(connection.recv_bytes().decode()) as f:
	        s.sendall(f.read().encode())

	def with_processes(path):
	    key = b"secret"
	    with Listener(path, "AF_UNIX", authkey=key) as listener:
	        process = multiprocessing.Process(target=child, args=(path, key))
	        process.start()
	        with listener.accept() as connection:
	            connection.send(list(range(1000)))
	            assert connection.recv()[-1] == 999 * 999
	        process.join()
	        assert process.exitcode == 0
	    with multiprocessing.Manager() as manager:
	        shared = manager.dict()
	        process = multiprocessing.Process(target=shared.update, args=({"key": "value"},))
	        process.start()
	        process.join()
	        assert dict(shared) == {"key": "value"}
	    here, there = multiprocessing.Pipe()
	    process = multiprocessing.Process(target=take, args=(there, ""))
	    process.start()
	    mine, other = socket.socketpair()
	    here.send(other)
	    open("file", "w").write("from a file")
	    here.send_bytes(b"file")
	    assert mine.recv(100) == b"from a file"
	    process.join()

	if __name__ == "__main__":
	    asyncio.run(with_asyncio(os.path.abspath("asyncio")))
	    datagrams()
	    with_processes(os.path.abspath("processes"))
	    left, right = socket.socketpair()
	    left.sendall(b"x" * 1000)
	    print("done", flush=True)
	    sys.stdin.read()
	END
	cd "$work"
	inside /usr/bin/python3 program.py < <(exec sleep 1000) > said &
	waits $! test -s said
	crossed 2000
	stop $!
}

tests+=(F07_ssh_agent)
F07_ssh_agent()
{
	local server

	need ssh-agent ssh-add ssh-keygen
	cd "$work"
	# A copy: the program itself changes its group, see ferry(1).
	cp "$(command -v ssh-agent)" agent
	inside ./agent -D -a "$work/agent.sock" > /dev/null & server=$!
	listens "$server" "$work/agent.sock"
	is "$(stat -c %a agent.sock)" 600
	export SSH_AUTH_SOCK=$work/agent.sock
	ssh-keygen -q -t ed25519 -N '' -C "a key" -f key
	try 0 "$ferry" run -- ssh-add -q key
	try 0 "$ferry" run -- ssh-add -l
	[[ $out == *" a key (ED25519)" ]] || note "ssh-add: $out"
	try 0 "$ferry" run -- ssh-add -T key.pub
	# The agent asks the kernel who is there: another user is nobody to it.
	chmod 755 .
	chmod 777 agent.sock
	try 5 as_nobody "$ferry" connect "$("$ferry" ss -l -H | awk '{ print $5 }')" < /dev/null
	try 2 as_nobody "$ferry" run -- ssh-add -l
	# One that asks and stays.
	inside perl -e 'use IO::Socket::UNIX; $| = 1; my $s = IO::Socket::UNIX->new(Peer => shift) or die;
		print $s pack("NC", 1, 11); read($s, my $b, 70) == 70 or die; print "done\n"; sleep 1000' \
		"$work/agent.sock" > said &
	waits $! test -s said
	crossed 70
	stop $! "$server"
}

# Does the window of tmux show this?
shows()
{
	"${tmux[@]}" capture-pane -p | grep -q "$1"
}

tests+=(F07_tmux)
F07_tmux()
{
	need tmux
	cd "$work"
	tmux=("$ferry" run -- tmux -S "$work/tmux" -f /dev/null)
	# The server takes the terminal of its client by SCM_RIGHTS, and runs by itself.
	try 0 "${tmux[@]}" new-session -d -x 80 -y 24 'exec cat'
	[[ -S tmux ]]
	try 0 "${tmux[@]}" send-keys 'by AF_FERRY' Enter
	waits $$ shows 'by AF_FERRY'
	# A control client stays.
	coproc exec "${tmux[@]}" -C attach-session
	while read -r line <&"${COPROC[0]}"; do
		[[ $line != %session-changed* ]] || break
	done
	crossed 100
	try 0 "${tmux[@]}" kill-server
}

tests+=(F07_dbus)
F07_dbus()
{
	local server monitor

	need dbus-daemon dbus-send dbus-monitor
	cd "$work"
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$work/bus
	# Where AppArmor looks after it, it wants labels of its callers, see ferry(1).
	sed 's,</busconfig>,<apparmor mode="disabled"/>&,' /usr/share/dbus-1/session.conf > conf
	inside dbus-daemon --config-file="$work/conf" --address="$DBUS_SESSION_BUS_ADDRESS" \
		--nofork --nosyslog & server=$!
	listens "$server" "$work/bus"
	inside dbus-monitor "interface='org.example.Test'" > monitor & monitor=$!
	waits "$monitor" test -s monitor
	# It knows its callers by SO_PEERCRED.
	try 0 "$ferry" run -- dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
		org.freedesktop.DBus.GetConnectionUnixUser string:org.freedesktop.DBus
	try 0 "$ferry" run -- dbus-send --session / org.example.Test.Signal string:"by AF_FERRY"
	waits "$monitor" grep -q 'string "by AF_FERRY"' monitor
	crossed 1000
	stop "$monitor" "$server"
}

exec 3>&1
run_tests "$@"
