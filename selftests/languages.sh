#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs of Documentation/languages.md, from its very text (built outside of the
# machine by tools/examples.sh): each server understands each client. And Python's
# module, tools/python/ferry.py.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/run_lib.sh
. "$(dirname "$0")/run_lib.sh"

examples=$here/../build/examples/languages
languages=(c perl python go rust javascript)
# No __pycache__ beside the sources; whoever forgets to close something is told.
python=(env PYTHONPATH="$here/../tools/python" /usr/bin/python3 -B -W default)

[[ -d $examples ]] || skip_all "the programs are not built (tools/examples.sh build)"

# said_by LANGUAGE PROGRAM: sets the array "command" to what runs it. Fails where there
# is none, which "missing" tells.
said_by()
{
	missing="$1 is not installed (tools/setup.sh programs)"
	case $1 in
	c | go | rust)
		command=("$examples/$1/$2")
		[[ -x ${command[0]} ]] || missing="$missing, or was not when the examples were built"
		[[ -x ${command[0]} ]]
		;;
	perl) command=(perl "$examples/perl/$2.pl") ;;
	python)
		command=("${python[@]}" "$examples/python/$2.py")
		[[ -x /usr/bin/python3 ]]
		;;
	javascript)
		command=("$ferry" run -- node "$examples/javascript/$2.js")
		command -v node > /dev/null
		;;
	esac
}

# padded NAME SIZE: the name with dots to that many bytes.
padded()
{
	local dots

	printf -v dots '%*s' $(($2 - ${#1})) ''
	echo "$1${dots// /.}"
}

# refused WHO COMMAND...: it fails, and says so in one line.
refused()
{
	local status=0

	"${@:2}" > "$work/out" 2> "$work/err" || status=$?
	contents "$work/out" out
	contents "$work/err" err
	((status > 0 && status < 128)) || note "status $status in $1: $err"
	[[ -z $out ]] || note "$1 said: $out"
	one_line '*'
}

# answer_of LANGUAGE: what a client of it says and hears.
answer_of()
{
	text="hello from $1, très bien"
	answer="HELLO FROM ${1^^}, TRèS BIEN"
}

# ask LANGUAGE NAME...: a client of it asks each of the servers. Where it takes long
# until a program runs, one process runs it for all.
ask()
{
	local language=$1 name text answer

	shift
	said_by "$language" client
	answer_of "$language"
	case $language in
	python)
		try 0 "${command[@]::${#command[@]}-1}" -c 'if True:
			import runpy, sys
			client, text, *names = sys.argv[1:]
			for name in names:
			    sys.argv = [client, name, text]
			    runpy.run_path(client, run_name="__main__")' "${command[-1]}" "$text" "$@"
		;;
	javascript)
		try 0 "${command[@]::${#command[@]}-1}" -e '
			const [client, text, ...names] = process.argv.slice(1);
			for (const name of names) {
			  process.argv = [process.argv0, client, name, text];
			  delete require.cache[client];
			  require(client);
			}' "$(realpath "${command[-1]}")" "$text" "$@"
		;;
	*)
		for name; do
			try 0 "${command[@]}" "$name" "$text"
			is "$err" ""
			is "$out" "$answer"
		done
		return
		;;
	esac
	is "$err" ""
	is "$out" "$(for name; do printf '%s' "$answer"; done)"
}

tests+=(F07_each_server_with_each_client)
F07_each_server_with_each_client()
{
	local language server absent='' LC_ALL=C
	local -A names=(
		[c]=c
		[perl]=$(padded languages/perl 101)
		[python]='languages/by name/ü'
		[go]=g
		[rust]=$(padded languages/rust 101)
		[javascript]=$(padded languages/javascript 101)
	) servers=()

	cd "$work"
	for language in "${languages[@]}"; do
		if ! said_by "$language" server; then
			absent="$absent, $missing"
			unset "names[$language]"
			continue
		fi
		"${command[@]}" "${names[$language]}" 2> "said-$language" & servers[$language]=$!
	done
	for language in "${!servers[@]}"; do
		# A pattern: bytes that are no ASCII would have to be written otherwise.
		waits "${servers[$language]}" "$ferry" ss -l "${names[$language]//[^ -~]/*}"
	done
	# One that says much and goes without an answer stops none of them.
	perl -e 'for my $name (@ARGV) {
			socket(my $s, 18, 1, 0) or die "socket: $!\n";
			connect($s, pack("SSx16a*", 18, 0, $name)) or die "connect: $!\n";
			syswrite($s, "x" x 50000);
		}' "${names[@]}"
	for language in "${!servers[@]}"; do
		ask "$language" "${names[@]}"
	done
	# All are still there, and said at most a line about who went.
	for language in "${!servers[@]}"; do
		kill "${servers[$language]}"
		ends "${servers[$language]}" 143
		(($(wc -l < "said-$language") <= 1)) || note "$language: $(< "said-$language")"
	done
	[[ -z $absent ]] || skip "without ${absent#, }"
}

tests+=(A01_names_of_108_bytes)
A01_names_of_108_bytes()
{
	local language name server servers=()

	cd "$work"
	# Paths of Node.js have 107; for Python see below.
	for language in c perl go rust; do
		said_by "$language" server || continue
		"${command[@]}" "$(padded "$language" 108)" &
		servers[$!]=$language
	done
	for server in "${!servers[@]}"; do
		language=${servers[$server]}
		name=$(padded "$language" 108)
		waits "$server" "$ferry" ss -l "$name"
		ask "$language" "$name"
		# With another byte it is no name.
		said_by "$language" client
		refused "$language" "${command[@]}" "$name." text
	done
	stop "${!servers[@]}"
}

tests+=(F02_errors_in_each_language)
F02_errors_in_each_language()
{
	local language server

	"$ferry" listen --keep --exec cat taken & server=$!
	there -l taken
	for language in "${languages[@]}"; do
		said_by "$language" client || continue
		refused "$language" "${command[@]}" nobody text
		# After AF_FERRY "ferry run" has tried AF_UNIX.
		[[ ${err,,} == *refused* || $language == javascript && $err == *ENOENT* ]] || note "said: $err"
		said_by "$language" server
		refused "$language" "${command[@]}" taken
		[[ ${err,,} == *"already in use"* ]] || note "said: $err"
	done
	stop "$server"
}

# by_python: the program on standard input, which says nothing.
by_python()
{
	[[ -x /usr/bin/python3 ]] || skip "python3 is not installed"
	{
		cat <<-'END'
		import errno, os, select, selectors, signal, socket, struct, sys, tempfile, threading
		import ferry
		from ferry import Address, Socket, create_connection, create_server, socketpair

		def lines(path):
		    with open(path) as file:
		        return file.readlines()

		def fails(number, call, *arguments, **more):
		    try:
		        result = call(*arguments, **more)
		    except OSError as error:
		        assert error.errno == number, error
		    else:
		        raise AssertionError(f"{call} gave {result}")

		END
		cat
	} > "$work/program.py"
	try 0 "${python[@]}" "$work/program.py"
	is "$out$err" ""
}

tests+=(F12_python_names)
F12_python_names()
{
	by_python <<-'END'
	import string
	# From one byte to 108, NUL and all others among them.
	for name in (b"x", b"\0", bytes(range(108)), bytes(range(148, 256)), b"\xff" * 108, b"end\0\0"):
	    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
	        with create_server(name, type=kind) as listener:
	            assert listener.getsockname() == Address(name) == (name, "", 0)
	            with create_connection(name, type=kind) as client:
	                server, peer = listener.accept()
	                with server:
	                    assert isinstance(server, Socket) and server.type == kind
	                    assert not server.get_inheritable() and server.gettimeout() is None
	                    assert peer == Address(b"") == server.getpeername() == client.getsockname()
	                    assert client.getpeername() == server.getsockname() == Address(name)
	# Text is bytes as the names of files are.
	with create_server("ü\udcff") as listener:
	    assert listener.getsockname().name == b"\xc3\xbc\xff"
	    assert "laddr=Address" in repr(listener)
	    # A client with a name.
	    with Socket() as client:
	        client.bind(Address("client"))
	        client.connect("ü\udcff")
	        server, peer = listener.accept()
	        server.close()
	        assert peer.name == b"client"
	with Socket() as s:
	    s.bind("")
	    name = s.getsockname().name
	    assert name.startswith(b"auto/") and len(name) == 21, name
	    fails(errno.EINVAL, s.bind, "other")
	    fails(errno.ENOTCONN, s.getpeername)
	with Socket() as s:
	    fails(errno.EINVAL, s.bind, b"x" * 109)
	    fails(errno.EINVAL, s.connect, b"x" * 1000)
	    for wrong in (7, None, ["x"]):
	        try:
	            s.bind(wrong)
	        except TypeError:
	            pass
	        else:
	            raise AssertionError(wrong)
	fails(errno.EBADF, s.bind, "closed")
	# Nodes and scope.
	for address in (Address("n", "127.0.0.1", ferry.FERRY_SCOPE_NETWORK), Address("n", "::1", 1),
	                Address("n", scope=1)):
	    assert Address.unpack(address.pack()) == address
	    with create_server(address) as listener, create_connection(address, 60) as client:
	        assert listener.getsockname() == address
	fails(errno.EINVAL, create_server, Address("n", "127.0.0.1"))
	fails(errno.EADDRNOTAVAIL, create_server, Address("n", "192.0.2.1", 1))
	assert Address.unpack(b"") is None and Address.unpack(bytes(20)) is None
	# A pair, a duplicate, and a socket that came as a descriptor.
	first, second = socketpair(socket.SOCK_SEQPACKET)
	with first, second, first.dup() as copy, Socket(fileno=os.dup(copy.fileno())) as other:
	    assert copy.getsockname() == Address("") and other.type == socket.SOCK_SEQPACKET
	    other.send(b"x")
	    assert second.recv(10) == b"x"
	END
}

tests+=(F02_python_errors)
F02_python_errors()
{
	by_python <<-'END'
	fails(errno.ECONNREFUSED, create_connection, "nobody")
	fails(errno.EPROTONOSUPPORT, Socket, proto=5)
	with create_server("taken", mode=0o600) as listener:
	    fails(errno.EADDRINUSE, create_server, "taken")
	    fails(errno.EPROTOTYPE, create_connection, "taken", type=socket.SOCK_SEQPACKET)
	    with Socket() as s:
	        assert s.connect_ex("nobody") == errno.ECONNREFUSED
	        assert s.connect_ex("taken") == 0
	        assert s.connect_ex("taken") == errno.EISCONN
	    assert listener.getsockopt(ferry.SOL_FERRY, ferry.FERRY_MODE) == 0o600
	    os.seteuid(65534)
	    fails(errno.EACCES, create_connection, "taken")
	    fails(errno.EACCES, create_server, "system/taken")
	    os.seteuid(0)
	    listener.setsockopt(ferry.SOL_FERRY, ferry.FERRY_MODE, 0o666)
	    os.seteuid(65534)
	    create_connection("taken").close()
	    os.seteuid(0)
	# Several on one name.
	with create_server("many", reuse_port=True), create_server("many", reuse_port=True):
	    pass
	# What failed kept no descriptor: the next one is as before.
	before = os.dup(0)
	os.close(before)
	fails(errno.ECONNREFUSED, create_connection, "many", 60)
	fails(errno.EINVAL, create_server, b"x" * 109)
	after = os.dup(0)
	os.close(after)
	assert before == after
	END
}

tests+=(F08_python_datagrams_and_control)
F08_python_datagrams_and_control()
{
	by_python <<-'END'
	def datagram(name):
	    return create_server(name, type=socket.SOCK_DGRAM)
	with datagram("a") as a, datagram(b"\0b") as b, Socket(type=socket.SOCK_DGRAM) as unnamed:
	    assert a.sendto(b"to b", b"\0b") == 4
	    assert b.recvfrom(100) == (b"to b", Address("a"))
	    assert b.sendto(bytearray(b"to a"), socket.MSG_DONTWAIT, Address("a")) == 4
	    assert a.recvfrom(100, socket.MSG_PEEK) == (b"to a", Address(b"\0b"))
	    assert a.recvfrom(2, socket.MSG_TRUNC)[1] == Address(b"\0b")
	    unnamed.sendto(memoryview(b"..xyz")[2:], "a")
	    assert a.recvfrom(100) == (b"xyz", Address(""))
	    unnamed.sendto(b"", "a")
	    assert a.recvfrom(0) == (b"", Address(""))
	    a.sendto(b"into", "a")
	    buffer = bytearray(b"......")
	    assert a.recvfrom_into(memoryview(buffer)[1:]) == (4, Address("a")) and buffer == b".into."
	    a.sendto(b"INTO", "a")
	    assert a.recvfrom_into(buffer, 2) == (2, Address("a")) and buffer == b"INnto."
	    a.sendto(b"abcdef", "a")
	    two, four = bytearray(2), bytearray(4)
	    assert a.recvmsg_into([two, four]) == (6, [], 0, Address("a")) and two + four == b"abcdef"
	    a.sendto(b"abcdef", "a")
	    assert a.recvmsg(3) == (b"abc", [], socket.MSG_TRUNC, Address("a"))
	    # A connected one.
	    unnamed.connect("a")
	    assert unnamed.getpeername() == Address("a")
	    unnamed.send(b"c")
	    assert a.recv(10) == b"c"
	    fails(errno.EAGAIN, a.recvfrom, 1, socket.MSG_DONTWAIT)
	    fails(errno.ECONNREFUSED, a.sendto, b"x", "nobody")
	    fails(errno.EMSGSIZE, a.sendto, bytes(10 << 20), "a")
	    # To all of a name.
	    everybody = Address("a", "ff01::1")
	    fails(errno.EACCES, b.sendto, b"x", everybody)
	    b.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
	    assert b.sendto(b"all", everybody) == 3 and a.recvfrom(10) == (b"all", Address(b"\0b"))

	    # Descriptors and credentials, to an address and to a peer.
	    b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
	    with tempfile.TemporaryFile() as file:
	        file.write(b"contents")
	        file.flush()
	        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("ii", file.fileno(), file.fileno()))
	        assert a.sendmsg([b"h", b"ere"], [rights], 0, b"\0b") == 4
	        data, control, flags, peer = b.recvmsg(100, 200)
	        assert (data, flags, peer) == (b"here", 0, Address("a"))
	        control = {kind: data for level, kind, data in control}
	        assert struct.unpack("iII", control[socket.SCM_CREDENTIALS]) == (os.getpid(), 0, 0)
	        fds = struct.unpack("ii", control[socket.SCM_RIGHTS])
	        for fd in fds:
	            assert os.pread(fd, 100, 0) == b"contents"
	            os.close(fd)
	        assert a.sendmsg([b"cut"], [rights], 0, b"\0b") == 3
	        assert b.recvmsg(100)[2] == socket.MSG_CTRUNC
	        here, there = socketpair()
	        with here, there:
	            socket.send_fds(here, [b"file"], [file.fileno()])
	            data, fds, flags, peer = socket.recv_fds(there, 100, 2)
	            assert (data, flags, peer) == (b"file", 0, None) and os.pread(fds[0], 100, 0) == b"contents"
	            os.close(fds[0])
	            # A stream tells no address.
	            here.send(b"stream")
	            assert there.recvfrom(100) == (b"stream", None)
	            # As files.
	            with here.makefile("w") as writer, there.makefile() as reader:
	                print("a line", file=writer, flush=True)
	                assert reader.readline() == "a line\n"
	END
}

tests+=(O32_python_timeouts_and_signals)
O32_python_timeouts_and_signals()
{
	by_python <<-'END'
	def times_out(call, *arguments):
	    try:
	        call(*arguments)
	    except TimeoutError as error:
	        assert str(error) == "timed out"
	    else:
	        raise AssertionError(call)

	with create_server("full", backlog=0) as listener, create_connection("full") as first:
	    # No place is left.
	    times_out(create_connection, "full", 0.01)
	    with Socket() as s:
	        s.settimeout(0.01)
	        assert s.connect_ex("full") == errno.EAGAIN
	    with Socket() as s:
	        s.setblocking(False)
	        fails(errno.EINPROGRESS, s.connect, "full")
	        assert s.connect_ex("full") == errno.EALREADY
	        poll = select.poll()
	        poll.register(s, select.POLLOUT)
	        assert poll.poll(0) == []
	        server, peer = listener.accept()
	        assert poll.poll() == [(s.fileno(), select.POLLOUT)]
	        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
	        listener.accept()[0].close()
	    with server:
	        server.settimeout(0.01)
	        times_out(server.recvfrom, 1)
	        times_out(server.recvmsg, 1)
	        server.setblocking(False)
	        fails(errno.EAGAIN, server.recvfrom, 1)
	    listener.settimeout(0.01)
	    times_out(listener.accept)
	    listener.setblocking(False)
	    fails(errno.EAGAIN, listener.accept)
	    # There in time; an accepted socket waits as long as it takes.
	    listener.settimeout(200)
	    with create_connection("full", 200) as client:
	        assert client.gettimeout() == 200
	        server, peer = listener.accept()
	        assert server.gettimeout() is None
	        server.close()
	    # The refusal of one that waits.
	    with create_connection("full"):
	        thread = threading.Thread(target=fails, args=(errno.ECONNREFUSED, create_connection, "full", 200))
	        thread.start()
	        while not any(" connecting " in line for line in lines("/proc/net/ferry")):
	            pass
	        listener.close()
	        thread.join()

	with create_server("waits") as listener:
	    # Who waits holds up no other thread.
	    accepted = []
	    thread = threading.Thread(target=lambda: accepted.append(listener.accept()))
	    thread.start()
	    with create_connection("waits"):
	        thread.join()
	        accepted[0][0].close()
	    # A handler runs, and the call goes on.
	    clients = []
	    signal.signal(signal.SIGALRM, lambda *ignored: clients.append(create_connection("waits")))
	    signal.setitimer(signal.ITIMER_REAL, 0.01)
	    listener.accept()[0].close()
	    clients[0].close()
	    # What it raises ends the call.
	    class Stop(Exception):
	        pass
	    def stop(*ignored):
	        raise Stop
	    signal.signal(signal.SIGALRM, stop)
	    for timeout in (None, 200):
	        listener.settimeout(timeout)
	        try:
	            signal.setitimer(signal.ITIMER_REAL, 0.01)
	            listener.accept()
	        except Stop:
	            pass
	        else:
	            raise AssertionError("accepted")
	END
}

tests+=(F09_python_selectors_and_asyncio)
F09_python_selectors_and_asyncio()
{
	by_python <<-'END'
	import asyncio

	def with_selectors():
	    with selectors.DefaultSelector() as selector, create_server("selected") as listener:
	        selector.register(listener, selectors.EVENT_READ)
	        assert selector.select(0) == []
	        with create_connection("selected") as client:
	            assert [key.fileobj for key, events in selector.select()] == [listener]
	            server = listener.accept()[0]
	            with server:
	                selector.register(server, selectors.EVENT_READ)
	                assert selector.select(0) == []
	                client.send(b"x")
	                assert [key.fileobj for key, events in selector.select()] == [server]
	                selector.unregister(server)

	async def echo(reader, writer):
	    assert writer.get_extra_info("sockname") == Address("async")
	    while data := await reader.read(65536):
	        writer.write(data)
	        await writer.drain()
	    writer.close()

	async def talk(n):
	    reader, writer = await asyncio.open_connection(sock=create_connection("async"))
	    assert writer.get_extra_info("peername") == Address("async")
	    # More than the buffers take.
	    message = bytes([n]) * 500000
	    writer.write(message)
	    writer.write_eof()
	    assert await reader.read() == message
	    writer.close()
	    await writer.wait_closed()

	async def streams():
	    server = await asyncio.start_server(echo, sock=create_server("async"))
	    async with server:
	        await asyncio.gather(*(talk(n) for n in range(4)))

	async def calls():
	    loop = asyncio.get_running_loop()
	    with create_server("full", backlog=0) as listener, create_connection("full"), Socket() as s:
	        listener.setblocking(False)
	        s.setblocking(False)
	        # Waits for a place, and nobody else does.
	        connecting = loop.create_task(loop.sock_connect(s, "full"))
	        for turn in range(10):
	            await asyncio.sleep(0)
	        assert not connecting.done()
	        (await loop.sock_accept(listener))[0].close()
	        await connecting
	        server, peer = await loop.sock_accept(listener)
	        with server:
	            assert peer == Address("") and server.gettimeout() == 0
	            receiving = loop.create_task(loop.sock_recv(server, 100))
	            await loop.sock_sendall(s, b"hello")
	            assert await receiving == b"hello"
	    with Socket() as s:
	        s.setblocking(False)
	        try:
	            await loop.sock_connect(s, "full")
	        except ConnectionRefusedError:
	            pass
	        else:
	            raise AssertionError("connected")

	class Inbox(asyncio.DatagramProtocol):
	    def __init__(self):
	        self.came = asyncio.get_running_loop().create_future()
	    def datagram_received(self, data, address):
	        self.came.set_result((data, address))

	async def datagrams():
	    loop = asyncio.get_running_loop()
	    ends = []
	    for name in ("one", "two"):
	        s = create_server(name, type=socket.SOCK_DGRAM)
	        ends.append(await loop.create_datagram_endpoint(Inbox, sock=s))
	    (one, first), (two, second) = ends
	    one.sendto(b"ping", Address("two"))
	    data, address = await second.came
	    assert (data, address) == (b"ping", Address("one"))
	    two.sendto(b"pong", address)
	    assert await first.came == (b"pong", Address("two"))
	    one.close()
	    two.close()

	async def main():
	    await streams()
	    await calls()
	    await datagrams()
	with_selectors()
	asyncio.run(main())
	END
}

tests+=(X01_python_what_else_the_page_shows)
X01_python_what_else_the_page_shows()
{
	said_by python more || skip "$missing"
	try 0 "${command[@]}"
	is "$err" ""
	is "$out" $'a letter from example/sender\na file that begins: # more.py: what else there is'
}

run_tests "$@"
