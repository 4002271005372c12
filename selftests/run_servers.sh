#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same as run_programs.sh: web servers, a proxy, a database.

# shellcheck disable=SC2016 # perl and nginx have dollars of their own
# shellcheck source=selftests/run_lib.sh
. "$(dirname "$0")/run_lib.sh"

PATH=$PATH:/usr/sbin:$(echo /usr/lib/postgresql/*/bin)

# stays PATH REQUEST: an HTTP client that does not close; it has had 200 when this returns.
stays()
{
	inside perl -e 'use IO::Socket::UNIX; $| = 1; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!\n";
		print $s "GET $ARGV[1] HTTP/1.1\r\nHost: localhost\r\n\r\n";
		<$s> =~ / 200 / or die "no answer\n"; print "done\n"; sleep 1000' "$1" "$2" > client &
	waits $! test -s client
}

tests+=(F07_nginx_with_an_upstream)
F07_nginx_with_an_upstream()
{
	local server

	need nginx curl
	cd "$work"
	head -c 300000 /dev/urandom | base64 > page
	# The workers are of another user.
	cat > conf <<-END
	pid $work/pid; error_log $work/log; worker_processes 2;
	events { worker_connections 100; }
	http {
	  access_log off; keepalive_timeout 1000;
	  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
	  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
	  upstream back { server unix:$work/back; keepalive 4; }
	  server { listen unix:$work/front; location / { proxy_pass http://back; proxy_http_version 1.1;
	    proxy_set_header Connection ""; } }
	  server { listen unix:$work/back; root $work; }
	}
	END
	inside nginx -e "$work/log" -c "$work/conf" -g 'daemon off;' & server=$!
	listens "$server" "$work/front"
	listens "$server" "$work/back"
	try 0 "$ferry" run -- curl -sf --unix-socket "$work/front" http://localhost/page -o copy
	cmp page copy
	stays "$work/front" /page
	crossed 200000
	stop $! "$server"
	[[ ! -e front && ! -e back ]] || note "the paths are still there"
}

tests+=(F07_haproxy)
F07_haproxy()
{
	local proxy back

	need haproxy curl python3
	cd "$work"
	cat > back.py <<-'END'
	import http.server, socketserver
	class Handler(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        self.send_response(200)
	        self.send_header("Content-Length", "100000")
	        self.end_headers()
	        self.wfile.write(b"x" * 100000)
	    def address_string(self):
	        return "somebody"
	socketserver.ThreadingUnixStreamServer("back", Handler).serve_forever()
	END
	cat > conf <<-END
	global
	  stats socket $work/stats mode 600 level admin
	defaults
	  mode http
	  timeout connect 100s
	  timeout client 1000s
	  timeout server 1000s
	frontend front
	  bind unix@$work/front mode 666
	  default_backend back
	backend back
	  server one unix@$work/back
	END
	inside /usr/bin/python3 back.py 2> /dev/null & back=$!
	listens "$back" back
	inside haproxy -q -db -f conf & proxy=$!
	# It binds another path and renames it when it listens.
	waits "$proxy" test -S "$work/front"
	try 0 "$ferry" run -- curl -sf --unix-socket "$work/front" http://localhost/ -o copy
	is "$(stat -c %s copy)" 100000
	stays "$work/front" /
	crossed 100000
	try 0 "$ferry" run -- perl -e 'use IO::Socket::UNIX; $| = 1; my $s = IO::Socket::UNIX->new(Peer => shift) or die;
		print $s "show stat\n"; print <$s>' "$work/stats"
	[[ $out == *front,FRONTEND,* ]] || note "said: $out"
	stop $! "$proxy" "$back"
}

tests+=(F07_node)
F07_node()
{
	need node
	cd "$work"
	cat > program.js <<-'END'
	const http = require('http'), net = require('net'), child = require('child_process');
	if (process.argv[2] === 'child') {
	  // A connection that the parent has accepted.
	  process.on('message', (message, socket) => socket.end('from the child'));
	  return;
	}
	const body = 'x'.repeat(100000);
	const server = http.createServer((request, answer) => answer.end(body)).listen('http', () => {
	  const agent = new http.Agent({ keepAlive: true });
	  http.get({ socketPath: 'http', path: '/', agent }, (answer) => {
	    let got = '';
	    answer.on('data', (data) => got += data);
	    answer.on('end', () => {
	      if (got !== body || server.address() !== 'http') throw new Error('another body');
	      const kid = child.fork(__filename, ['child']);
	      net.createServer((socket) => kid.send('socket', socket)).listen('given', () => {
	        net.connect('given').on('data', (data) => {
	          if (data.toString() !== 'from the child') throw new Error(data);
	          console.log('done');
	        });
	      });
	    });
	  });
	});
	// What went over a connection is counted as long as that is there.
	server.keepAliveTimeout = 0;
	END
	inside node program.js > said &
	waits $! test -s said
	crossed 100000
	stop $!
}

tests+=(F07_postgresql)
F07_postgresql()
{
	local server as=(setpriv --reuid postgres --regid postgres --clear-groups)

	need initdb postgres pgbench psql
	id postgres > /dev/null || skip "there is no user postgres"
	mkdir "$work/db"
	cd "$work/db"
	chown postgres:postgres .
	export PGHOST=$work/db PGUSER=postgres HOME=$work/db
	# Who may be whom is told by SO_PEERCRED.
	"${as[@]}" initdb -D data -A peer --no-sync --no-locale -E SQL_ASCII > /dev/null
	"${as[@]}" "$ferry" run -- postgres -D data -c listen_addresses= -c unix_socket_directories="$work/db" \
		-c fsync=off -c shared_buffers=16MB -c autovacuum=off > log 2>&1 & server=$!
	waits "$server" "${as[@]}" "$ferry" run -- psql -qAtc 'select 1'
	try 0 "${as[@]}" "$ferry" run -- pgbench -q -i -n -s 1
	try 0 "${as[@]}" "$ferry" run -- pgbench -n -c 4 -t 20
	[[ $out == *'actually processed: 80/80'* ]] || note "said: $out"
	try 2 "$ferry" run -- psql -qAtc 'select 1'
	[[ $err == *'Peer authentication failed'* ]] || note "said: $err"
	coproc exec "${as[@]}" "$ferry" run -- psql -qAt
	echo "select repeat('x', 10000);" >&"${COPROC[1]}"
	read -r line <&"${COPROC[0]}"
	is "${#line}" 10000
	crossed 10000
	stop "$COPROC_PID" "$server"
}

exec 3>&1
run_tests "$@"
