#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Which calls of the module that can fail for want of memory do selftests/fail_nth
# and unload.sh make fail? They run on the debug kernel, which tells of each
# failure by a stack trace; the first function of the module in it is the place.
# One line a place: how often it failed, file, line and text. Then the places in
# the sources, found by name, that never failed; each has its reason in
# tools/fault-sites.reasons. Both lists go to Documentation/coverage.md.

set -euo pipefail
# shellcheck source=tools/check-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/check-lib.sh"

# What allocates, or calls on the core for something that does.
calls='(^|[^a-z_])(sk_alloc|k[mz]alloc|kmem_cache_alloc|kmem_cache_create(_usercopy)?|alloc_skb|nlmsg_new'
calls+='|alloc_pages?|iov_iter_get_pages2|iov_iter_extract_pages|skb_clone|alloc_percpu'
calls+='|scm_fp_dup|xa_store|reuseport_(add_sock|alloc)|rhashtable_(init|insert_fast)'
calls+='|proc_create_net|proto_register|register_pernet_subsys|sock_diag_register'
calls+='|msg_zerocopy_realloc|__skb_tstamp_tx|netlink_dump_start|nlmsg_unicast|__scm_send'
calls+='|sock_setsockopt|put_cmsg|ferry_copy_(from|to)|copy_(from|to)_(iter|iter_full|user|sockptr)|(get|put)_user)[(]'

in_machine()
{
	local log=$output/dmesg follower

	# The traces are thousands; they go to a file and not to the console.
	dmesg -n 1
	dmesg --follow > "$log" &
	follower=$!
	FERRY_FAULT_TRACE=1 run_suite -t 1200 fail_nth unload.sh
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

# "COUNT file:line" for each place, from a list of frames. An offset is that of
# the instruction behind the call, which can belong to the next line already.
places()
{
	local frame count where linux=${FERRY_CACHE:-$HOME/.cache/ferry}/linux-6.12

	sort "$1" | uniq -c | while read -r count frame; do
		# Without its size: in the kernel's eyes that of an init function is a page.
		where=$("$linux/scripts/faddr2line" "$objects/ferry.ko" "${frame%/*}" 2>/dev/null |
			grep -o 'module/[a-z_]*\.c:[0-9]*\|[a-z_]*\.c:[0-9]*' | head -n 1)
		echo "$count ${where#module/}"
	done | awk '{ n[$2] += $1 } END { for (w in n) print n[w], w }' | sort -t ' ' -k 2V
}

# "file TAB function TAB text" for every call in the sources that can fail, with
# its line before: "line TAB file ...".
calls()
{
	(cd "$top/module" && calls=$calls awk '
	BEGIN { calls = ENVIRON["calls"] }
	FNR == 1 { where = "?" }
	/^[a-z].*\(/ && !/;/ {
		where = $0; sub(/\(.*/, "", where); sub(/.*[ *]/, "", where)
	}
	$0 ~ calls && !/^[a-z]/ && !/^ \*/ {
		text = $0; gsub(/^[ \t]+|[ \t]+$/, "", text)
		print FNR "\t" FILENAME "\t" where "\t" text
	}' ./*.c pages.h | sed 's,\./,,')
}

# Is line $2 of file $1, or the rest of a call that begins there, in the list? Or
# the line before, where what the call returns goes to.
reached()
{
	awk -v f="$1" -v l="$2" '{ split($2, w, ":") }
		w[1] == f && w[2] >= l - 1 && w[2] <= l + 5 { found = 1 }
		END { exit !found }' "$output/places"
}

report()
{
	local file line where text

	frames "$output/dmesg" > "$output/frames"
	places "$output/frames" > "$output/places"
	while read -r count where; do
		file=${where%:*}
		line=${where#*:}
		printf '%6d %s:%s\t%s\n' "$count" "$file" "$line" \
			"$(sed -n "${line}s/^[ \t]*//p" "$top/module/$file")"
	done < "$output/places" | tee "$output/reached"
	: > "$output/failed"
	: > "$output/spared"
	calls | while IFS=$'\t' read -r line file where text; do
		if reached "$file" "$line"; then
			printf '%s\t%s\t%s\n' "$file" "$where" "$text" >> "$output/failed"
		else
			printf '%s\t%s\t%s\n' "$file" "$where" "$text" >> "$output/spared"
		fi
	done
	result $(($(wc -l < "$output/failed") == 0)) "calls of the module were made to fail"
	judge_reasons tools/fault-sites.reasons "each other call" "$output/spared"
	{
		echo
		"$top/tools/reasons.sh" table "$output/failed"
	} | "$top/tools/reasons.sh" section "$top/Documentation/coverage.md" failed
	{
		echo
		"$top/tools/reasons.sh" list "$output/reasons"
	} | "$top/tools/reasons.sh" section "$top/Documentation/coverage.md" spared
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
