// SPDX-License-Identifier: GPL-2.0
/*
 * Socket filters (SO_ATTACH_FILTER, SO_ATTACH_BPF) on what comes in.
 *
 * The core's filters look at a struct sk_buff, which local messages are not:
 * where a filter is attached a copy is made for it. Nobody else pays for that.
 * The program sees the payload from offset 0, the sender's mark and priority,
 * and may shorten or drop it. What is dropped counts at the receiver and has been sent
 * as far as the sender is told.
 */
#include <linux/filter.h>
#include <linux/netdevice.h>
#include <linux/uio.h>

#include "buffer.h"
#include "cmsg.h"
#include "ferry.h"
#include "filter.h"
#include "record.h"

/**
 * ferry_filter_dress() - make a copy of a message fit for any program
 * @skb: the copy
 * @sk: sender
 * @mark: the message's mark
 * @priority: the message's priority
 *
 * Programs also look at the device, which local messages count as received by,
 * and at what lies at a header's offset, which is the payload.
 */
void ferry_filter_dress(struct sk_buff *skb, const struct sock *sk, u32 mark,
			u32 priority)
{
	skb->dev = sock_net(sk)->loopback_dev;
	skb->mark = mark;
	skb->priority = priority;
	skb_reset_mac_header(skb);
	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
}

/* Run the filter of @to. Returns what passes of @skb's bytes, or -EPERM. */
static int ferry_filter_run(struct sock *to, struct sk_buff *skb)
{
	int err;

	err = sk_filter_trim_cap(to, skb, 1);
	if (!err)
		return skb->len;

	ferry_dropped(to, "filter");
	return -EPERM;
}

/* Cut a record down to @len bytes. */
static void ferry_record_trim(struct ferry_buf *buf, u32 len)
{
	while (len > buf->len) {
		len -= buf->len;
		buf = buf->next;
	}
	if (buf->sk)
		atomic_sub(buf->len - len, &ferry_sk(buf->sk)->unread);
	buf->len = len;
	if (!buf->eor) {
		buf->eor = 1;
		ferry_buf_put_list(buf->next);
		buf->next = NULL;
	}
}

/**
 * ferry_filter_record() - show a record to the receiver's filter
 * @sk: sender
 * @to: receiver with a filter
 * @first: the record, in no queue; may be shortened
 *
 * Context: process, may sleep.
 * Return: 0, -EPERM when it is to be dropped (it is counted), or -ENOMEM.
 */
int ferry_filter_record(struct sock *sk, struct sock *to,
			struct ferry_buf *first)
{
	struct sk_buff *skb;
	u32 len;
	int n;

	skb = ferry_record_skb(first, 0, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	len = skb->len;
	ferry_filter_dress(skb, sk, first->mark, ferry_buf_priority(first, sk));
	n = ferry_filter_run(to, skb);
	if (n < 0) {
		kfree_skb_reason(skb, SKB_DROP_REASON_SOCKET_FILTER);
		return n;
	}
	consume_skb(skb);
	if ((u32)n < len)
		ferry_record_trim(first, n);
	return 0;
}

/**
 * ferry_filter_bytes() - show bytes of a stream to the receiver's filter
 * @sk: sender
 * @to: receiver with a filter
 * @from: who sends
 * @iter: user memory, moved on
 * @len: bytes to take
 *
 * Return: a buffer with what passed, maybe nothing, or -ENOMEM or -EFAULT.
 */
struct sk_buff *ferry_filter_bytes(struct sock *sk, struct sock *to,
				   const struct ferry_sender *from,
				   struct iov_iter *iter, size_t len)
{
	struct sk_buff *skb;

	skb = alloc_skb(len, GFP_KERNEL);
	if (!skb)
		return ERR_PTR(-ENOMEM);
	if (!copy_from_iter_full(skb_put(skb, len), len, iter)) {
		kfree_skb(skb);
		return ERR_PTR(-EFAULT);
	}
	ferry_filter_dress(skb, sk, from->mark, ferry_sender_priority(from, sk));
	if (ferry_filter_run(to, skb) < 0)
		skb_trim(skb, 0);
	return skb;
}

/**
 * ferry_filter_inherit() - an accepted socket has its listener's filter
 * @child: socket nobody else knows yet
 * @listener: its listener
 */
void ferry_filter_inherit(struct sock *child, const struct sock *listener)
{
	struct sk_filter *filter;

	rcu_read_lock();
	filter = rcu_dereference(listener->sk_filter);
	if (filter && refcount_inc_not_zero(&filter->refcnt)) {
		/* As the core charges it; sk_filter_uncharge() gives it back. */
		atomic_add(bpf_prog_size(filter->prog->len),
			   &child->sk_omem_alloc);
		RCU_INIT_POINTER(child->sk_filter, filter);
	}
	rcu_read_unlock();
}
