#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The ferry command that shows: addresses as text, ss, doctor, help, completion.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/command_lib.sh
. "$(dirname "$0")/command_lib.sh"

completion=$here/../tools/ferry/completion/ferry

# ---- addresses ----

# Names of all bytes, and those that only look like an address with a node.
tests+=(A01_text_is_the_kernels_and_leads_back)
A01_text_is_the_kernels_and_leads_back()
{
	perl -e 'my $ferry = shift;
	my @names = map { [0, $_] } "plain", "ferry://x/y", "a b\\c",
		map { my $i = $_; join("", map { chr } grep { $_ < 256 } $i .. $i + 99) } 0, 100, 200;
	push @names, [1, "scoped"], [1, "ferry://"];
	my @socks;
	for my $name (@names) {
		socket(my $s, 18, 2, 0) or die "socket: $!\n";
		bind($s, pack("SSx16a*", 18, $name->[0], $name->[1])) or die "bind: $!\n";
		push @socks, $s;
	}
	open(my $list, "<", "/proc/net/ferry") or die;
	my @texts = map { /^ +\d+ +\d+ dgram +\S+ +\d+ +\d+ +\d+ +\d+ +\d+ - +- +\d{4} (?:host   |network) (.*)/
		? $1 : () } <$list>;
	@texts == @names or die "# /proc/net/ferry has ", scalar(@texts), " names\n";
	use JSON::PP;
	my $json = decode_json(scalar `$ferry ss --json`);
	my @shown = sort map { $_->{name} } @$json;
	"@shown" eq join(" ", sort @texts) or die "# ferry ss shows @shown\n";
	for my $text (@texts) {
		system($ferry, "send", "-t", "dgram", "-M", $text, $text) == 0 or die "# not sent to $text\n";
	}
	# Each got the text of its own name.
	my %seen;
	for my $i (0 .. $#names) {
		recv($socks[$i], my $text, 1000, 64) // die "# nothing came to name $i: $!\n";
		$seen{$text}++ and die "# twice: $text\n";
		my $raw = $text;
		$raw =~ s/^ferry:\/\/\[::\]\/// if $names[$i][0];
		$raw =~ s/\\x(..)/chr(hex($1))/ge;
		$raw eq $names[$i][1] or die "# $text came to name $i\n";
	}' "$ferry"
}

tests+=(A01_bad_addresses)
A01_bad_addresses()
{
	local address long

	long=$(printf 'x%.0s' {1..109})
	for address in '' "$long" 'a\q' 'a\x' 'a\x1' 'a\xg0' $'a\\' ferry:// ferry://x ferry://x/y ferry://1.2.3.4 \
		ferry://1.2.3.4/ ferry://::1/x 'ferry://[::1/x' 'ferry://[::1]x' 'ferry://[nix]/x' \
		'ferry://[fe80::1%]/x' 'ferry://[fe80::1%averyverylongname]/x' "ferry://1.2.3.4/$long"; do
		try 2 "$ferry" connect "$address" < /dev/null
		one_line "ferry connect: '*' is no address: *"
	done
	try 1 "$ferry" connect 'ferry://[fe80::1%nosuch0]/x'
	one_line "*network interface 'nosuch0'*"
	try 1 "$ferry" connect ferry://192.0.2.1/x < /dev/null
	one_line "*192.0.2.1/x*"
	# The longest name that there is.
	try 4 "$ferry" connect "${long:1}"
}

# ---- ferry ss ----

tests+=(P05_ss_shows_names_queues_and_processes)
P05_ss_shows_names_queues_and_processes()
{
	local pid client server

	mkfifo "$work/held"
	"$ferry" listen --exec "exec sleep 1000" table & pid=$!
	"$ferry" connect --wait 60 table < "$work/held" & client=$!
	exec {held}> "$work/held"
	until "$ferry" ss -p table | grep -q '"sleep"'; do
		:
	done
	printf 12345 >&"$held"
	until "$ferry" ss -H --state established table | grep -qE '^stream ESTAB +5 '; do
		:
	done
	try 0 "$ferry" ss --processes
	[[ ${out%%$'\n'*} =~ ^Type\ +State\ +Recv-Q\ +Send-Q\ +Local\ Name\ +Inode\ +Peer\ Name\ +Inode\ +Process ]] ||
		note "header: ${out%%$'\n'*}"
	[[ $out =~ stream\ ESTAB\ +5\ +0\ +table\ +[0-9]+\ +\*\ +[0-9]+\ +users:\(\(\"sleep\",pid=([0-9]+),fd=0\),\(\"sleep\" ]] ||
		note "server: $out"
	server=${BASH_REMATCH[1]}
	[[ $out =~ stream\ ESTAB\ +0\ +5\ +\*\ +[0-9]+\ +table\ +[0-9]+\ +users:\(\(\"ferry\",pid=$client,fd=3\)\) ]] ||
		note "client: $out"
	try 0 "$ferry" ss -Hemo
	is "$(grep -c 'uid:0 .*sk:[0-9a-f]* <-> .*drops:0 skmem:(r[0-9]*,rb[0-9]*,' <<< "$out")" 2
	try 0 "$ferry" ss --json -p
	perl -MJSON::PP -e 'my $l = decode_json(join("", <STDIN>));
		@$l == 2 or exit 1;
		my ($s) = grep { ($_->{name} // "") eq "table" } @$l;
		$s->{type} eq "stream" && $s->{state} eq "established" && $s->{recv_q} == 5 &&
		$s->{processes}[0]{name} eq "sleep" && $s->{processes}[0]{pid} > 0 &&
		!defined $s->{peer_name} && $s->{peer_inode} > 0 && $s->{memory}{rcvbuf} > 0 &&
		$s->{can_send} && $s->{nul_bytes_at_end} == 0 or exit 1' <<< "$out" || note "JSON: $out"
	kill "$client" "$server"
	ends "$pid" 143
}

tests+=(P05_ss_filters)
P05_ss_filters()
{
	local pid

	perl -e 'for my $type (1, 5, 2) {
			socket(my $s, 18, $type, 0) or die "socket: $!\n";
			bind($s, pack("SSx16a*", 18, $type == 5, "f/$type")) or die "bind: $!\n";
			listen($s, 5) if $type != 2;
			push @s, $s;
		}
		socket(my $c, 18, 1, 0) or die "socket: $!\n";
		connect($c, pack("SSx16a*", 18, 0, "f/1")) or die "connect: $!\n";
		sleep(1000)' & pid=$!
	there --state unaccepted f/1
	is "$("$ferry" ss -H | wc -l)" 5
	is "$("$ferry" ss -H -l | wc -l)" 2
	is "$("$ferry" ss -H --type seqpacket --type dgram | wc -l)" 2
	is "$("$ferry" ss -H --state unaccepted | awk '{ print $2, $5, $6 }')" "UNACC f/1 0"
	is "$("$ferry" ss -H --state ESTAB --state unconnected | wc -l)" 2
	is "$("$ferry" ss -H 'f/?' | wc -l)" 5
	is "$("$ferry" ss -H f/1 | wc -l)" 3
	is "$("$ferry" ss -H f/1 '*5' | wc -l)" 4
	# A name is found with its node and without it.
	is "$("$ferry" ss -H f/5 | awk '{ print $5 }')" 'ferry://[::]/f/5'
	is "$("$ferry" ss -H 'ferry://[::]/f/5' | wc -l)" 1
	try 4 "$ferry" ss nix
	one_line "*there is no such socket*"
	try 2 "$ferry" ss --state nix
	one_line "*--state is listening,*not 'nix'"
	kill "$pid"
}

tests+=(P05_ss_watches)
P05_ss_watches()
{
	local pid line

	mkfifo "$work/pipe"
	"$ferry" ss --watch=0.1 > "$work/pipe" 2> "$work/log" & pid=$!
	exec {pipe}< "$work/pipe"
	for _ in 1 2 3; do
		read -r line <&"$pipe"
		[[ $line == Type* ]] || note "line: $line"
		read -r line <&"$pipe"
		is "$line" ""
	done
	exec {pipe}<&-
	ends "$pid" 1
	is "$(< "$work/log")" "ferry ss: cannot write to standard output: Broken pipe"
}

tests+=(P05_names_that_end_in_NUL_are_told)
P05_names_that_end_in_NUL_are_told()
{
	local script

	script='exec 2>&1; "$0" ss; "$0" connect wrong; echo "status $?"; "$0" doctor; echo "status $?"
		"$0" connect "wrong\x00\x00\x00\x00"; echo "status $?"'
	try 0 bound_with 128 wrong bash -c "$script" "$ferry"
	[[ $out == *' wrong(+103 NUL) '* ]] || note "ss: $out"
	[[ $out == *"ferry ss: NUL bytes at the end"* ]] || note "ss: $out"
	[[ $out == *"nobody is at wrong, but at that name and 103 NUL bytes"*$'\n'"status 4"* ]] ||
		note "connect: $out"
	[[ $out =~ bad\ +names\ +\'wrong\'\ of\ (perl|bash|ferry)\ \(pid\ [0-9]+\) ]] || note "doctor: $out"
	[[ $out == *"cure: bind(2) with FERRY_ADDR_LEN(strlen(name))"*$'\n'"status 1"* ]] || note "doctor: $out"
	# Whoever means such a name can have it.
	try 0 bound_with 24 'two' "$ferry" ss --json 'two\x00'
}

tests+=(F02_a_name_of_another_type)
F02_a_name_of_another_type()
{
	local pid

	"$ferry" recv -t dgram typed > /dev/null & pid=$!
	there typed
	try 4 "$ferry" connect typed < /dev/null
	one_line "*typed is not of this type; try --type dgram"
	try 0 "$ferry" send -t dgram -M x typed
	ends "$pid" 0
}

tests+=(P05_ss_shows_the_carrier)
P05_ss_shows_the_carrier()
{
	# What goes to that node meets nobody; to have a carrier it is enough to be connected.
	# shellcheck disable=SC2016 # for the other shell
	try 0 unshare --net bash -c 'ip link set lo up && ip route add 10.99.0.0/24 dev lo &&
		echo 1818 > /proc/sys/net/ferry/port || exit
		mkfifo "$1" && exec 3<> "$1"
		"$0" connect -t dgram ferry://10.99.0.1/x < "$1" & pid=$!
		end=$((SECONDS + 30))
		until "$0" ss -Ho | grep -q "carrier:udp"; do ((SECONDS < end)) || exit; done
		"$0" ss --json | grep -E "carrier|peer_name"
		kill "$pid"' "$ferry" "$work/fifo"
	[[ $out == *'"peer_name":"ferry://10.99.0.1/x"'*'"carrier":"udp"'* ]] || note "said: $out"
}

# ---- ferry doctor ----

tests+=(P05_doctor)
P05_doctor()
{
	local pid

	"$ferry" listen doctored & pid=$!
	there -l doctored
	try 0 "$ferry" doctor
	[[ ${out##*$'\n'} == "all is well" ]] || note "said: $out"
	[[ $out == *"AF_FERRY works"* && $out =~ ok\ +names\ +1\ sockets ]] || note "said: $out"
	[[ $out =~ port ]] || note "said: $out"
	try 0 "$ferry" doctor --json
	perl -MJSON::PP -e 'my $l = decode_json(join("", <STDIN>));
		my ($f) = grep { $_->{check} eq "family" } @$l;
		exit !($f && $f->{verdict} eq "ok" && $f->{finding} =~ /works/)' <<< "$out" ||
		note "JSON: $out"
	kill "$pid"
}

# ---- ferry bench ----

tests+=(N01_bench)
N01_bench()
{
	try 0 "$ferry" bench --list
	[[ $out == *$'\n'"  ferry-stream"$'\n'* ]] || note "said: $out"
	try 0 "$ferry" bench --quick --force --repeat 1 --only unix-stream,ferry-stream,roundtrip/1 \
		--no-table --json "$work/bench.json"
	perl -MJSON::PP -e 'my $d = decode_json(join("", <STDIN>));
		my @shown = sort map { $_->{peer} } @{$d->{results}};
		exit !("@shown" eq "ferry-stream unix-stream" &&
		       !grep { !($_->{values}[0] > 0) } @{$d->{results}})' < "$work/bench.json" ||
		note "JSON: $(< "$work/bench.json")"
	# As earlier results it is the same.
	try 0 "$ferry" bench --from "$work/bench.json"
	[[ $out == *"One operation, ns"*$'\n'"ferry-stream "* ]] || note "said: $out"
}

# ---- help ----

tests+=(P05_help_fits_a_screen)
P05_help_fits_a_screen()
{
	local command help

	try 0 "$ferry" --help
	help=$out
	(($(wc -l < "$work/out") <= 24)) || note "too long"
	! grep -qE '.{80}' "$work/out" || note "too wide"
	for command in listen connect send recv ss run bench doctor; do
		[[ $help == *$'\n'"  $command "* ]] || note "without $command"
		try 0 "$ferry" "$command" --help
		[[ $out == "usage: ferry $command "* ]] || note "said: $out"
		(($(wc -l < "$work/out") <= 24)) || note "too long"
		! grep -qE '.{80}' "$work/out" || note "too wide"
	done
	try 0 "$ferry" --version
	[[ $out =~ ^ferry\ [0-9.]+$ ]] || note "said: $out"
}

# complete WORD...: what bash offers for the last one.
complete_words()
{
	PATH=$work:$PATH bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ferry
		printf "%s\n" "${COMPREPLY[@]}" | paste -sd " "' "$completion" "$@"
}

tests+=(P05_completion)
P05_completion()
{
	local pid

	"$ferry" listen complete/me & pid=$!
	there -l complete/me
	is "$(complete_words ferry re)" recv
	is "$(complete_words ferry send --t)" --type
	is "$(complete_words ferry connect --type s)" "stream seqpacket"
	is "$(complete_words ferry connect comp)" complete/me
	is "$(complete_words ferry ss --state un)" "unaccepted unconnected"
	is "$(complete_words ferry ss -e comp)" complete/me
	is "$(complete_words ferry recv --m)" --mode
	is "$(complete_words ferry recv --mode 0)" ""
	kill "$pid"
}

run_tests "$@"
