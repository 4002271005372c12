#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the ferry command says to bad input, and when something ends in the
# middle. What it says without the module is tested by tools/install-test.sh.

# shellcheck disable=SC2016 # perl has dollars of its own
# shellcheck source=selftests/command_lib.sh
. "$(dirname "$0")/command_lib.sh"

# ---- bad input ----

tests+=(X06_unknown_commands_and_options)
X06_unknown_commands_and_options()
{
	local command

	try 2 "$ferry" nix
	one_line "ferry: there is no command 'nix'*"
	try 2 "$ferry" --nix
	one_line "ferry: there is no option '--nix'*"
	try 2 "$ferry"
	for command in listen connect send recv ss doctor run bench; do
		try 2 "$ferry" "$command" --nix
		one_line "ferry $command: there is no option '--nix'; see *--help"
	done
	for command in listen connect send recv; do
		try 2 "$ferry" "$command"
		one_line "ferry $command: an address is missing*"
		try 2 "$ferry" "$command" a b
		one_line "ferry $command: one address is enough: 'b' is left over"
		try 2 "$ferry" "$command" --type
		one_line "ferry $command: '--type' needs a value*"
		try 2 "$ferry" "$command" --type nix a
		one_line "ferry $command: --type is stream, seqpacket or dgram, not 'nix'"
	done
	try 2 "$ferry" recv --mode 888 a
	one_line "*--mode is an octal number*'888'"
	try 2 "$ferry" recv --count -1 a
	one_line "*--count is a number from 1*'-1'"
	try 2 "$ferry" send --size 0 a
	try 2 "$ferry" send --wait x a
	one_line "*--wait is a number of seconds, not 'x'"
	try 2 "$ferry" listen -t dgram --exec true a
	try 2 "$ferry" listen --exec true --pass x a
	try 2 "$ferry" listen --keep --pass x a
	try 2 "$ferry" connect --count 1 a
	try 2 "$ferry" ss --watch=0
	try 2 "$ferry" doctor nix
	try 2 "$ferry" bench nix
	one_line "ferry bench: 'nix' is left over*"
	try 2 "$ferry" bench --only nix
	one_line "ferry bench: no peer or cell begins with 'nix'*"
	try 2 "$ferry" bench --repeat 0
	one_line "ferry bench: --repeat is 1 to *, not '0'"
	try 1 "$ferry" bench --from /nix
	one_line "ferry bench: /nix holds no results"
}

tests+=(F02_nobody_is_there)
F02_nobody_is_there()
{
	local type

	for type in stream seqpacket dgram; do
		try 4 "$ferry" connect -t "$type" nobody < /dev/null
		one_line "ferry connect: nobody is at nobody ($type); 'ferry ss' lists*"
		try 4 "$ferry" send -t "$type" -M x nobody
	done
}

tests+=(X02_not_permitted)
X02_not_permitted()
{
	try 5 as_nobody "$ferry" recv system/nix
	one_line "*names that begin with system/ need CAP_NET_BIND_SERVICE"
}

tests+=(F07_a_message_that_is_too_long)
F07_a_message_that_is_too_long()
{
	local pid

	"$ferry" recv -t dgram short & pid=$!
	there short
	head -c 1000000 /dev/zero > "$work/in"
	try 1 "$ferry" send -t dgram --size 1000000 short < "$work/in"
	one_line "*a message of 1000000 bytes is longer than the send buffer; see --size*"
	kill "$pid"
}

tests+=(S01_the_other_end_closes)
S01_the_other_end_closes()
{
	local pid

	head -c 1000000 /dev/zero > "$work/in"
	"$ferry" listen --exec true closes & pid=$!
	there -l closes
	try 1 "$ferry" send closes < "$work/in"
	one_line "ferry send: the other end *closed*"
	ends "$pid" 0
	"$ferry" listen --exec true closes & pid=$!
	there -l closes
	try 1 "$ferry" connect closes < "$work/in"
	one_line "ferry connect: the other end *closed*"
	ends "$pid" 0
}

# A reset is told once, and records are looked at before they are taken.
tests+=(S01_the_other_end_leaves_something_unread)
S01_the_other_end_leaves_something_unread()
{
	local pid client type

	for type in stream seqpacket; do
		mkfifo "$work/open"
		"$ferry" listen -t "$type" --exec "read -r line < '$work/close'" unread & pid=$!
		mkfifo "$work/close"
		there -l unread
		"$ferry" connect -t "$type" unread < "$work/open" 2> "$work/log" & client=$!
		exec {open}> "$work/open"
		echo text >&"$open"
		until "$ferry" ss -H --state established unread | grep -qE ' ESTAB +5 +0 +unread '; do
			:
		done
		echo > "$work/close"
		ends "$client" 1
		is "$(< "$work/log")" \
			"ferry connect: the other end closed without reading all that it was sent"
		exec {open}>&-
		ends "$pid" 0
		rm "$work/open" "$work/close"
	done
}

tests+=(S01_output_to_a_closed_pipe_or_a_full_disk)
S01_output_to_a_closed_pipe_or_a_full_disk()
{
	local pid

	closed_output "$ferry" recv closed 2> "$work/log" & pid=$!
	try 0 "$ferry" send --wait 60 -M text closed
	ends "$pid" 1
	is "$(< "$work/log")" "ferry recv: standard output was closed by its reader"
	"$ferry" recv full > /dev/full 2> "$work/log" & pid=$!
	try 0 "$ferry" send --wait 60 -M text full
	ends "$pid" 1
	is "$(< "$work/log")" \
		"ferry recv: cannot write to standard output, which is incomplete: No space left on device"
	for command in ss doctor --help "ss --json" "listen --help"; do
		# shellcheck disable=SC2086 # several words
		try 1 closed_output "$ferry" $command
		one_line "ferry*: cannot write to standard output: Broken pipe"
	done
	# No socket takes the place of what is closed.
	try 1 bash -c 'exec "$0" ss >&-' "$ferry"
	one_line "ferry ss: cannot write to standard output: Bad file descriptor"
	try 1 bash -c 'exec "$0" connect --wait 60 full <&-' "$ferry" &
	pid=$!
	"$ferry" listen full > "$work/copy" < /dev/null
	ends "$pid" 0
	is "$(< "$work/copy")" ""
}

tests+=(X06_interrupted_in_the_middle)
X06_interrupted_in_the_middle()
{
	local pid client signal

	for signal in INT TERM HUP; do
		interruptible "$ferry" recv middle > "$work/partial" 2> "$work/log" & pid=$!
		mkfifo "$work/slow"
		"$ferry" send --size 5 --wait 60 middle < "$work/slow" & client=$!
		exec {slow}> "$work/slow"
		printf 12345 >&"$slow"
		until [[ -s $work/partial ]]; do
			:
		done
		kill "-$signal" "$pid"
		ends "$pid" $((128 + $(kill -l "$signal")))
		is "$(< "$work/partial")" 12345
		# The counter follows the file, which the signal may come between.
		[[ $(< "$work/log") == "ferry recv: ended by SIG$signal after 0 bytes sent and "[05]" received; $work/partial has 5 bytes and may be incomplete" ]] ||
			note "said: $(< "$work/log")"
		printf 12345 >&"$slow" || :
		exec {slow}>&-
		rm "$work/slow"
		ends "$client" 1
	done
	# What is ignored stays so.
	(trap '' INT; exec "$ferry" recv ignored > "$work/partial") & pid=$!
	there -l ignored
	kill -INT "$pid"
	try 0 "$ferry" send -M text ignored
	ends "$pid" 0
	is "$(< "$work/partial")" text
}

# On a terminal: numbers that end with the transfer, and nothing left changed.
tests+=(X06_progress_on_a_terminal_which_stays_as_it_was)
X06_progress_on_a_terminal_which_stays_as_it_was()
{
	local typed='' chunk script

	command -v script > /dev/null || note "no script(1)" || return
	cat > "$work/session" <<-'END'
		stty -g
		env --default-signal=INT "$1" send --wait 60 slow < /dev/zero &
		echo "pid $!"
		wait $!
		echo "status $?"
		stty -g
	END
	mkfifo "$work/never"
	"$ferry" listen --exec "read line < '$work/never'" slow &
	coproc script -qefc "bash '$work/session' '$ferry'" /dev/null < /dev/null
	# bash closes its own descriptor once the session has ended.
	exec {script}<&"${COPROC[0]}"
	# The queue is full; after a second there is a rate.
	until [[ $typed == *B/s* ]]; do
		read -rN 1 chunk <&"$script"
		typed+=$chunk
	done
	[[ $typed =~ pid\ ([0-9]+) ]]
	kill -INT "${BASH_REMATCH[1]}"
	while IFS= read -rN 1 chunk <&"$script"; do
		typed+=$chunk
	done
	exec {script}<&-
	[[ $typed =~ [0-9.]+\ KiB,\ [0-9.]+\ [A-Z]*i?B/s ]] || note "no rate: $typed"
	[[ $typed == *$'\r\e[K'"ferry send: ended by SIGINT after "*" bytes sent and 0 received"$'\r\n'* ]] ||
		note "no end: $typed"
	[[ $typed == *"status 130"* ]] || note "status: $typed"
	is "$(grep -cE '^[0-9a-f:]{30,}' <<< "$typed")" 2
	is "$(grep -E '^[0-9a-f:]{30,}' <<< "$typed" | uniq | wc -l)" 1
	echo > "$work/never"
}

tests+=(X06_no_progress_without_a_terminal)
X06_no_progress_without_a_terminal()
{
	local pid

	mkfifo "$work/slow"
	"$ferry" recv quiet > "$work/copy" & pid=$!
	there -l quiet
	(printf 1; sleep 2; printf 2) > "$work/slow" &
	try 0 "$ferry" send --size 1 quiet < "$work/slow"
	is "$err" ""
	ends "$pid" 0
	is "$(< "$work/copy")" 12
}

run_tests "$@"
