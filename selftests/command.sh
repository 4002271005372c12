#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The ferry command between sockets and the standard streams: listen, connect,
# send and recv.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/command_lib.sh
. "$(dirname "$0")/command_lib.sh"

# ---- listen, connect, send, recv ----

tests+=(F02_both_directions)
F02_both_directions()
{
	local pid type

	for type in stream seqpacket; do
		"$ferry" listen -t "$type" both <<< "from the listener" > "$work/heard" & pid=$!
		try 0 "$ferry" connect -t "$type" --wait 60 both <<< "from the client"
		ends "$pid" 0
		is "$out" "from the listener"
		is "$(< "$work/heard")" "from the client"
	done
}

tests+=(F16_the_end_of_input_is_passed_on)
F16_the_end_of_input_is_passed_on()
{
	local pid

	# sort answers all of it at the end of its input and no sooner.
	"$ferry" listen --exec "sort -r" half & pid=$!
	try 0 "$ferry" connect --wait 60 half <<< $'a\nb'
	is "$out" $'b\na'
	ends "$pid" 0
}

tests+=(F07_megabytes_both_ways_at_once)
F07_megabytes_both_ways_at_once()
{
	local pid

	head -c 4M /dev/urandom > "$work/in"
	"$ferry" listen --exec cat echo & pid=$!
	try 0 "$ferry" connect --wait 60 echo < "$work/in"
	cmp "$work/in" "$work/out"
	ends "$pid" 0
}

tests+=(F07_a_file_by_every_type)
F07_a_file_by_every_type()
{
	local pid type count

	head -c 300001 /dev/urandom > "$work/in"
	for type in stream seqpacket dgram; do
		count=()
		# 300001 bytes are eight messages of 40000.
		[[ $type != dgram ]] || count=(--count 8)
		"$ferry" recv -t "$type" "${count[@]}" file > "$work/copy" & pid=$!
		try 0 "$ferry" send -t "$type" --size 40000 --wait 60 file < "$work/in"
		ends "$pid" 0
		cmp "$work/in" "$work/copy"
	done
}

tests+=(F08_messages_keep_their_borders)
F08_messages_keep_their_borders()
{
	local pid type

	for type in seqpacket dgram; do
		"$ferry" recv -t "$type" --count 3 --timestamps borders > "$work/copy" 2> "$work/stamps" &
		pid=$!
		# An empty message is not the end.
		try 0 "$ferry" send -t "$type" --wait 60 -M abc -M "" -M de borders
		ends "$pid" 0
		is "$(< "$work/copy")" abcde
		is "$(grep -oE '[0-9]+ bytes' "$work/stamps" | paste -sd,)" "3 bytes,0 bytes,2 bytes"
		grep -qE 'recv: [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}[+-][0-9]{4}: ' "$work/stamps"
	done
	grep -q ' from auto/' "$work/stamps" || note "no sender of a datagram"
}

tests+=(F08_a_long_message_is_not_cut)
F08_a_long_message_is_not_cut()
{
	local pid

	head -c 150000 /dev/urandom > "$work/in"
	"$ferry" recv -t dgram long > "$work/copy" & pid=$!
	try 0 "$ferry" send -t dgram --size 150000 --wait 60 long < "$work/in"
	ends "$pid" 0
	cmp "$work/in" "$work/copy"
}

tests+=(F08_fewer_messages_than_were_asked_for)
F08_fewer_messages_than_were_asked_for()
{
	local pid

	"$ferry" recv -t seqpacket --count 3 fewer > /dev/null 2> "$work/stamps" & pid=$!
	try 0 "$ferry" send -t seqpacket --wait 60 -M one fewer
	ends "$pid" 1
	grep -q 'closed after 1 of 3 messages' "$work/stamps"
}

tests+=(F07_question_and_answer_by_datagrams)
F07_question_and_answer_by_datagrams()
{
	local pid

	"$ferry" listen -t dgram ask <<< "the answer" > "$work/copy" & pid=$!
	try 0 "$ferry" connect -t dgram --count 1 --wait 60 ask <<< "the question"
	is "$out" "the answer"
	kill "$pid"
	ends "$pid" 143
	is "$(< "$work/copy")" "the question"
}

tests+=(F05_keep_accepts_again)
F05_keep_accepts_again()
{
	local pid i

	"$ferry" listen --keep keep > "$work/copy" & pid=$!
	for i in 1 2 3; do
		try 0 "$ferry" connect --wait 60 keep <<< "client $i"
	done
	kill "$pid"
	ends "$pid" 143
	is "$(paste -sd, "$work/copy")" "client 1,client 2,client 3"
}

tests+=(F05_keep_with_exec_serves_all_at_once)
F05_keep_with_exec_serves_all_at_once()
{
	local pid line

	"$ferry" listen -ke 'echo "$FERRY_NAME,$FERRY_PEER."; cat' many & pid=$!
	coproc "$ferry" connect --wait 60 many
	read -r line <&"${COPROC[0]}"
	is "$line" "many,."
	# The first is connected still.
	try 0 "$ferry" connect many <<< second
	is "$out" $'many,.\nsecond'
	echo first >&"${COPROC[1]}"
	read -r line <&"${COPROC[0]}"
	is "$line" first
	kill "$pid"
	ends "$pid" 143
}

tests+=(F05_exit_status_of_the_command)
F05_exit_status_of_the_command()
{
	local pid

	"$ferry" listen --exec 'exit 7' status & pid=$!
	try 0 "$ferry" connect --wait 60 status < /dev/null
	ends "$pid" 7
	"$ferry" listen --exec 'kill -KILL $$' status & pid=$!
	try 0 "$ferry" connect --wait 60 status < /dev/null
	ends "$pid" 137
	"$ferry" listen -e cat status & pid=$!
	there -l status
	try 3 "$ferry" connect --exec 'exit 3' status
	ends "$pid" 0
}

tests+=(F04_one_connection_only)
F04_one_connection_only()
{
	local pid

	"$ferry" listen --exec 'read line' one & pid=$!
	coproc "$ferry" connect --wait 60 one
	until "$ferry" ss --state established -p one | grep -q '"sh"'; do
		:
	done
	try 4 "$ferry" connect one < /dev/null
	one_line "*nobody is at one (stream)*"
	echo >&"${COPROC[1]}"
	ends "$pid" 0
}

tests+=(F02_wait_for_the_name)
F02_wait_for_the_name()
{
	local pid

	"$ferry" connect --wait 60 --verbose late < /dev/null 2> "$work/log" & pid=$!
	try 4 "$ferry" connect --wait 0.05 late < /dev/null
	kill -0 "$pid" || note "it has not waited"
	"$ferry" listen --exec true late
	ends "$pid" 0
	grep -q 'connected to late' "$work/log"
}

tests+=(O35_names_are_shared_by_reuseport)
O35_names_are_shared_by_reuseport()
{
	local one two

	"$ferry" listen -ke 'echo one' --reuseport shared & one=$!
	there -l shared
	"$ferry" listen -ke 'echo two' --reuseport shared & two=$!
	until (($("$ferry" ss -Hl shared | wc -l) == 2)); do
		:
	done
	# One of the two answers each time, and no other may join.
	try 0 "$ferry" connect shared < /dev/null
	[[ $out == one || $out == two ]] || note "answered: $out"
	try 1 "$ferry" listen shared
	one_line "ferry listen: shared is in use; *ss -p* shows by whom"
	kill "$one" "$two"
}

tests+=(X02_mode_lets_others_in)
X02_mode_lets_others_in()
{
	local pid

	umask 022
	"$ferry" listen -ke cat shut & pid=$!
	there -l shut
	try 5 as_nobody "$ferry" connect shut < /dev/null
	one_line "*shut does not let you in*mode"
	kill "$pid"
	"$ferry" listen -ke cat --mode 0622 open & pid=$!
	there -l open
	try 0 as_nobody "$ferry" connect open <<< hello
	is "$out" hello
	try 0 "$ferry" ss -He open
	[[ $out == *mode:0622* ]] || note "shown: $out"
	kill "$pid"
	"$ferry" recv -t dgram -m 600 secret & pid=$!
	there secret
	try 5 as_nobody "$ferry" send -t dgram -M x secret
	kill "$pid"
}

tests+=(X01_descriptors_are_passed_and_told)
X01_descriptors_are_passed_and_told()
{
	local pid

	echo 12345 > "$work/passed"
	"$ferry" recv pass > "$work/copy" 2> "$work/told" & pid=$!
	try 0 "$ferry" send --wait 60 --pass "$work/passed" --pass /dev/null -M text pass
	ends "$pid" 0
	is "$(< "$work/copy")" text
	grep -q "received a descriptor: file $work/passed, read only, 6 bytes" "$work/told"
	grep -q "received a descriptor: character device /dev/null" "$work/told"
	"$ferry" listen -e cat pass & pid=$!
	there -l pass
	try 1 "$ferry" connect --pass "$work/passed" pass < /dev/null
	one_line "*there is no message for $work/passed to go with"
	ends "$pid" 0
	"$ferry" listen -e cat pass & pid=$!
	there -l pass
	try 1 "$ferry" send --pass /nonexistent -M x pass
	one_line "*cannot open /nonexistent: No such file*"
	ends "$pid" 0
}

tests+=(O09_broadcast)
O09_broadcast()
{
	local pid

	"$ferry" recv -t dgram news > "$work/copy" & pid=$!
	there news
	try 0 "$ferry" send -t dgram -M "to all" 'ferry://[ff01::1]/news'
	ends "$pid" 0
	is "$(< "$work/copy")" "to all"
}

run_tests "$@"
