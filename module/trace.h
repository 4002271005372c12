/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: ferry:ferry_debug tells what sockets with SO_DEBUG do,
 * ferry:ferry_drop why a message was not queued. Both tell cookie, inode and name
 * of the socket, as /proc/net/ferry does. Texts are in the record itself, for those
 * who read it outside the kernel.
 *
 * Context: process, any locks. Nothing here may sleep or take one.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry

#if !defined(_FERRY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FERRY_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

TRACE_EVENT(ferry_debug,
	TP_PROTO(const struct sock *sk, const char *event, long value),
	TP_ARGS(sk, event, value),
	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(unsigned long, ino)
		__field(long, value)
		__field(u16, type)
		__string(event, event)
		__dynamic_array(char, name, ferry_diag_name(sk, NULL, 0) + 1)
	),
	TP_fast_assign(
		__entry->cookie = ferry_diag_cookie(sk);
		__entry->ino = ferry_diag_ino(sk);
		__entry->value = value;
		__entry->type = sk->sk_type;
		ferry_assign_str(event, event);
		ferry_diag_name(sk, __get_str(name), __get_dynamic_array_len(name));
	),
	TP_printk("cookie=%llu ino=%lu type=%u event=%s value=%ld name=%s",
		  __entry->cookie, __entry->ino, __entry->type,
		  __get_str(event), __entry->value, __get_str(name))
);

TRACE_EVENT(ferry_drop,
	TP_PROTO(const struct sock *sk, const char *reason),
	TP_ARGS(sk, reason),
	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(unsigned long, ino)
		__field(int, drops)
		__field(u16, type)
		__string(reason, reason)
		__dynamic_array(char, name, ferry_diag_name(sk, NULL, 0) + 1)
	),
	TP_fast_assign(
		__entry->cookie = ferry_diag_cookie(sk);
		__entry->ino = ferry_diag_ino(sk);
		__entry->drops = atomic_read(&sk->sk_drops);
		__entry->type = sk->sk_type;
		ferry_assign_str(reason, reason);
		ferry_diag_name(sk, __get_str(name), __get_dynamic_array_len(name));
	),
	TP_printk("cookie=%llu ino=%lu type=%u reason=%s drops=%d name=%s",
		  __entry->cookie, __entry->ino, __entry->type,
		  __get_str(reason), __entry->drops, __get_str(name))
);

#endif /* _FERRY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
