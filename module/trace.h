/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: ferry:ferry_debug tells what sockets with SO_DEBUG do,
 * ferry:ferry_drop why a message was not queued.
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
		__field(const void *, sk)
		__field(u16, type)
		__field(const char *, event)
		__field(long, value)
	),
	TP_fast_assign(
		__entry->sk = sk;
		__entry->type = sk->sk_type;
		__entry->event = event;
		__entry->value = value;
	),
	TP_printk("sk=%p type=%u event=%s value=%ld", __entry->sk,
		  __entry->type, __entry->event, __entry->value)
);

TRACE_EVENT(ferry_drop,
	TP_PROTO(const struct sock *sk, const char *reason),
	TP_ARGS(sk, reason),
	TP_STRUCT__entry(
		__field(const void *, sk)
		__field(u16, type)
		__field(const char *, reason)
		__field(int, drops)
	),
	TP_fast_assign(
		__entry->sk = sk;
		__entry->type = sk->sk_type;
		__entry->reason = reason;
		__entry->drops = atomic_read(&sk->sk_drops);
	),
	TP_printk("sk=%p type=%u reason=%s drops=%d", __entry->sk,
		  __entry->type, __entry->reason, __entry->drops)
);

#endif /* _FERRY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
