#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two machines on one link: machine 1 serves, machine 2 asks, by name, over IPv4 and
# IPv6. Streams, datagrams, and redis, which knows nothing of it.
#
#	tools/vm/vm run --machines 2 --timeout 120 -- selftests/two_machines.sh

set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
ferry=$top/build/tools/ferry
work=/tmp/two_machines
number=0
failed=0

if [[ ${FERRY_MACHINES:-} != 2 ]]; then
	echo "two_machines.sh: run it by tools/vm/vm run --machines 2" >&2
	exit 2
fi

meet()
{
	"$top/tools/vm/barrier" "$1"
}

# check NAME COMMAND...: one test.
check()
{
	local name=$1 result=ok

	shift
	number=$((number + 1))
	if ! "$@"; then
		result="not ok"
		failed=$((failed + 1))
	fi
	echo "$result $number $name"
}

# is WHAT IT
is()
{
	[[ $1 == "$2" ]] || { echo "# '${1:0:100}' instead of '${2:0:100}'"; return 1; }
}

# waits COMMAND...: until it succeeds, a minute at most.
waits()
{
	local end=$((SECONDS + 60))

	until "$@" > /dev/null 2>&1; do
		((SECONDS < end)) || { echo "# not in time: $*"; return 1; }
		sleep 0.1
	done
}

# An address that is still being tried is none yet.
settled()
{
	[[ -z $(ip -6 addr show dev eth0 tentative) ]]
}

# redis_by NODE PROGRAM...: a program that takes the name at the node for a path.
redis_by()
{
	local node=$1

	shift
	"$ferry" run --map "$work/redis=ferry://$node/redis" -- "$@"
}

have_redis()
{
	command -v redis-server redis-cli > /dev/null
}

accepted()
{
	local name value

	while read -r name value; do
		[[ $name != tcp_accepted ]] || ((value >= 2)) || return 1
	done < /proc/net/ferry_stat
}

serve()
{
	local pids=()

	"$ferry" listen -k -e cat 'ferry://[::]/echo' &
	pids+=($!)
	"$ferry" recv -t dgram -c 2 'ferry://[::]/inbox' > inbox &
	local receiver=$!
	check "the services are there" waits "$ferry" ss -l '*/echo'
	check "and the inbox" waits "$ferry" ss '*/inbox'
	if have_redis; then
		redis_by '[::]' redis-server --port 0 --unixsocket "$work/redis" \
			--save '' --appendonly no > redis.log &
		pids+=($!)
		check "and redis" waits "$ferry" ss -l '*/redis'
	fi
	meet served
	meet asked
	check "both messages came" wait "$receiver"
	check "as they were sent" is "$(< inbox)" 'by IPv4;by IPv6;'
	check "connections came through the door" accepted
	kill "${pids[@]}"
	wait
}

# ask NODE WORD: all that one family of addresses shows.
ask()
{
	local node=$1 by=$2

	check "a stream by $by" is "$("$ferry" connect "ferry://$node/echo" < data | md5sum)" "$sum"
	check "nobody of another name by $by" is \
		"$("$ferry" send -M x "ferry://$node/nobody" 2> /dev/null || echo "$?")" 4
	check "a message by $by" "$ferry" send -t dgram -M "by $by;" "ferry://$node/inbox"
	have_redis || return 0
	check "redis answers by $by" is "$(redis_by "$node" redis-cli -s "$work/redis" ping)" PONG
	check "redis takes a value by $by" is \
		"$(redis_by "$node" redis-cli -s "$work/redis" -x set "$by" < data)" OK
	check "and gives it back by $by" is \
		"$(redis_by "$node" redis-cli -s "$work/redis" --raw get "$by" | head -c -1 | md5sum)" \
		"$sum"
}

umask 0
mkdir -p "$work"
cd "$work" || exit
# What the machine began must not keep the other one.
trap 'meet served; meet asked' EXIT
check "the door opens" sh -c 'echo 1818 > /proc/sys/net/ferry/port'
check "the addresses are there" waits settled
if ((FERRY_MACHINE == 1)); then
	serve
else
	head -c 500000 /dev/urandom | base64 > data
	sum=$(md5sum < data)
	meet served
	ask 192.168.18.1 IPv4
	ask '[fd18::1]' IPv6
	meet asked
fi
echo "$((number - failed)) passed, $failed failed"
((failed == 0))
