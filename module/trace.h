/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: ferry:ferry_debug tells what sockets with SO_DEBUG do,
 * ferry:ferry_drop why a message was not queued, ferry:ferry_carrier how a socket comes
 * to reach another host and when that ends. They tell cookie, inode and name of the
 * socket, as /proc/net/ferry does. ferry:ferry_refused tells what came from another host
 * and met no socket. Texts are in the record itself, for those who read it outside the
 * kernel.
 *
 * Context: any, any locks. Nothing here may sleep or take one.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry

#if !defined(_FERRY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FERRY_TRACE_H

#include <linux/in6.h>
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

TRACE_EVENT(ferry_carrier,
	TP_PROTO(const struct sock *sk, const char *event,
		 const struct in6_addr *node, int err),
	TP_ARGS(sk, event, node, err),
	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(unsigned long, ino)
		__field(int, err)
		__field(u16, type)
		__array(u8, node, 16)
		__string(event, event)
		__dynamic_array(char, name, ferry_diag_name(sk, NULL, 0) + 1)
	),
	TP_fast_assign(
		__entry->cookie = ferry_diag_cookie(sk);
		__entry->ino = ferry_diag_ino(sk);
		__entry->err = err;
		__entry->type = sk->sk_type;
		memcpy(__entry->node, node, sizeof(__entry->node));
		ferry_assign_str(event, event);
		ferry_diag_name(sk, __get_str(name), __get_dynamic_array_len(name));
	),
	TP_printk("cookie=%llu ino=%lu type=%u event=%s err=%d node=%pI6c name=%s",
		  __entry->cookie, __entry->ino, __entry->type,
		  __get_str(event), __entry->err, __entry->node, __get_str(name))
);

TRACE_EVENT(ferry_refused,
	TP_PROTO(const struct net *net, const char *reason,
		 const struct in6_addr *node),
	TP_ARGS(net, reason, node),
	TP_STRUCT__entry(
		__field(u64, netns)
		__array(u8, node, 16)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->netns = net->net_cookie;
		memcpy(__entry->node, node, sizeof(__entry->node));
		ferry_assign_str(reason, reason);
	),
	TP_printk("netns=%llu reason=%s node=%pI6c",
		  __entry->netns, __get_str(reason), __entry->node)
);

#endif /* _FERRY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
