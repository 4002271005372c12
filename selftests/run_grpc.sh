#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same as run_programs.sh: remote calls by gRPC.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/run_lib.sh
. "$(dirname "$0")/run_lib.sh"

tests+=(F07_grpc)
F07_grpc()
{
	local server

	need /usr/bin/python3
	/usr/bin/python3 -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed (tools/setup.sh programs)"
	cd "$work"
	cat > program.py <<-'END'
	import concurrent.futures, grpc, os, sys
	class Handler(grpc.GenericRpcHandler):
	    def service(self, details):
	        return grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])
	address = "unix:" + os.path.abspath("grpc")
	if sys.argv[1] == "server":
	    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), (Handler(),))
	    assert server.add_insecure_port(address)
	    server.start()
	    server.wait_for_termination()
	channel = grpc.insecure_channel(address)
	reverse = channel.unary_unary("/Test/Reverse")
	for n in range(20):
	    message = os.urandom(10000)
	    assert reverse(message, wait_for_ready=True) == message[::-1]
	print("done", flush=True)
	sys.stdin.read()
	END
	inside /usr/bin/python3 program.py server & server=$!
	inside /usr/bin/python3 program.py client < <(exec sleep 1000) > said &
	waits $! test -s said
	crossed 400000
	stop $! "$server"
}

exec 3>&1
run_tests "$@"
