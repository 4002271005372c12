#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs ferry-bench inside the machine: loads the peers that are modules and
# silences what would measure along. With --symbols FILE the kernel's symbols
# are written there afterwards, while the module is loaded.

set -euo pipefail

symbols=
if [ "$1" = --symbols ]; then
	symbols=$2
	shift 2
fi
for module in tipc vsock_loopback; do
	modprobe -q "$module" || echo "no module $module" >&2
done
# Two hosts, see network.c.
for host in 1 2; do
	ip netns add "bench$host"
	ip -n "bench$host" link set lo up
done
ip link add eth0 netns bench1 type veth peer name eth0 netns bench2 || echo "no veth" >&2
for host in 1 2; do
	ip -n "bench$host" addr add "10.18.0.$host/24" dev eth0
	ip -n "bench$host" link set eth0 up
	ip netns exec "bench$host" sh -c 'echo 1818 >/proc/sys/net/ferry/port' || :
done
# The kernel's watchdogs wake up in the middle of a measurement.
[ ! -e /proc/sys/kernel/watchdog ] || echo 0 >/proc/sys/kernel/watchdog
status=0
"$@" || status=$?
[ -z "$symbols" ] || cat /proc/kallsyms >"$symbols"
exit "$status"
