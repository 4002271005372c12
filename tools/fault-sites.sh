#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Which calls of the module that can fail for want of memory does
# selftests/fail_nth make fail? It runs on the debug kernel, which tells of each
# failure by a stack trace; the first function of the module in it is the place.
# One line a place: how often it failed, file, line and text. Then the places in
# the sources, found by name, that never failed.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

# What allocates, or calls on the core for something that does.
calls='\b(sk_alloc|k[mz]alloc|kmem_cache_alloc|kmem_cache_create_usercopy|alloc_skb|nlmsg_new'
calls+='|alloc_pages?|iov_iter_get_pages2|iov_iter_extract_pages|skb_clone|alloc_percpu'
calls+='|scm_fp_dup|xa_store|reuseport_(add_sock|alloc)|rhashtable_(init|insert_fast)'
calls+='|proc_create_net|proto_register|register_pernet_subsys|sock_diag_register'
calls+='|msg_zerocopy_realloc|__skb_tstamp_tx|netlink_dump_start|nlmsg_unicast|__scm_send'
calls+='|sock_setsockopt|put_cmsg|ferry_copy_(from|to)|copy_(from|to)_(iter|iter_full|user|sockptr))\('

in_machine()
{
	local log=$output/dmesg follower

	# The traces are thousands; they go to a file and not to the console.
	dmesg -n 1
	dmesg --follow > "$log" &
	follower=$!
	FERRY_FAULT_TRACE=1 run_suite -t 1200 fail_nth
	echo "fault-sites: the end" > /dev/kmsg
	until grep -q 'fault-sites: the end' "$log"; do
		kill -0 "$follower"
	done
	kill "$follower"
	finish
}

# Prints function+offset/size of the module's first frame of each failure.
frames()
{
	awk '{ sub(/^\[[^]]*\] /, "") }
	/FAULT_INJECTION: forcing a failure/ { wanted = 1; next }
	wanted && / \? / { next }
	wanted && /\[ferry\]/ { print $1; wanted = 0 }' "$1"
}

# "COUNT file:line" for each place, from a list of frames.
places()
{
	local frame count where linux=${FERRY_CACHE:-$HOME/.cache/ferry}/linux-6.12

	sort "$1" | uniq -c | while read -r count frame; do
		where=$("$linux/scripts/faddr2line" "$objects/ferry.ko" "$frame" 2>/dev/null |
			grep -o 'module/[a-z_]*\.c:[0-9]*\|[a-z_]*\.c:[0-9]*' | head -n 1)
		echo "$count ${where#module/}"
	done | awk '{ n[$2] += $1 } END { for (w in n) print n[w], w }' | sort -t ' ' -k 2V
}

report()
{
	local count where file line

	frames "$output/dmesg" > "$output/frames"
	places "$output/frames" > "$output/places"
	while read -r count where; do
		file=${where%:*}
		line=${where#*:}
		printf '%6d %s:%s\t%s\n' "$count" "$file" "$line" \
			"$(sed -n "${line}s/^[ \t]*//p" "$top/module/$file")"
	done < "$output/places" | tee "$output/reached"
	echo "# not reached:"
	# A call may go over several lines; its end is where the frame points.
	(cd "$top/module" && grep -nE "$calls" ./*.c) | sed 's,^\./,,' |
	while IFS=: read -r file line _; do
		awk -v f="$file" -v l="$line" '{ split($2, w, ":") }
			w[1] == f && w[2] >= l && w[2] <= l + 5 { found = 1 }
			END { exit !found }' "$output/places" ||
			echo "$file:$line: $(sed -n "${line}s/^[ \t]*//p" "$top/module/$file")"
	done | tee "$output/unreached"
}

if [[ ${1:-} == --in-machine ]]; then
	output=$2
	in_machine
else
	prepare debug KCFLAGS=-g
	run_machine "$top/tools/fault-sites.sh" --in-machine "$output"
	report
	finish
fi
