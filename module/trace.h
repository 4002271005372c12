/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: ferry:ferry_debug tells what sockets with SO_DEBUG do,
 * ferry:ferry_drop why a message was not queued. Sockets are known by their
 * SO_COOKIE.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry

#if !defined(_FERRY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FERRY_TRACE_H

#include <linux/sock_diag.h>
#include <linux/tracepoint.h>
#include <net/sock.h>

#ifndef _FERRY_TRACE_COOKIE
#define _FERRY_TRACE_COOKIE

/* ferry_trace_cookie() - SO_COOKIE, by which all tools know a socket */
static inline u64 ferry_trace_cookie(const struct sock *sk)
{
	u32 half[2];

	sock_diag_save_cookie((struct sock *)sk, half);
	return (u64)half[1] << 32 | half[0];
}

#endif /* _FERRY_TRACE_COOKIE */

TRACE_EVENT(ferry_debug,
	TP_PROTO(const struct sock *sk, const char *event, long value),
	TP_ARGS(sk, event, value),
	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u16, type)
		__field(const char *, event)
		__field(long, value)
	),
	TP_fast_assign(
		__entry->cookie = ferry_trace_cookie(sk);
		__entry->type = sk->sk_type;
		__entry->event = event;
		__entry->value = value;
	),
	TP_printk("cookie=%llu type=%u event=%s value=%ld", __entry->cookie,
		  __entry->type, __entry->event, __entry->value)
);

TRACE_EVENT(ferry_drop,
	TP_PROTO(const struct sock *sk, const char *reason),
	TP_ARGS(sk, reason),
	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u16, type)
		__field(const char *, reason)
		__field(int, drops)
	),
	TP_fast_assign(
		__entry->cookie = ferry_trace_cookie(sk);
		__entry->type = sk->sk_type;
		__entry->reason = reason;
		__entry->drops = atomic_read(&sk->sk_drops);
	),
	TP_printk("cookie=%llu type=%u reason=%s drops=%d", __entry->cookie,
		  __entry->type, __entry->reason, __entry->drops)
);

#endif /* _FERRY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
