/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs for IPv6 subscribers (FAMILY6) know of the packet in hand besides the packet: one record per core,
 * which lasts through tail calls. Also their maps. Objects of this family include this file before all others.
 *
 * On the slow path a packet from inside becomes an IPv4 packet from the virtual address of its subscriber (enter.h),
 * goes through the steps of an IPv4 subscriber's, and leaves. A packet from outside goes through them as it is, and
 * what then is addressed to the virtual address becomes an IPv6 packet to the host (leave.h).
 */
#ifndef DETNAT_SIX_STATE_H
#define DETNAT_SIX_STATE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <detnat/order.h>
#include <detnat/prefix6.h>
#include <detnat/tables.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_RECORDS6);
	__type(key, __u32);
	__type(value, struct record6);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} records6 SEC(".maps");

/* Inner maps without type information, as those of maps.h. */
struct host6_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HOST6_CHUNK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct host6));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_HOST6_CHUNKS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, struct host6_chunk);
} hosts6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct indices6);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} indices6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_RECORDS6);
	__type(key, struct prefix6_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} prefixes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_IFINDEX);
	__type(key, __u32);
	__type(value, struct address6_octets);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} addresses6 SEC(".maps");

/* Of a host that has no line. */
#define HOST6_NONE 0xffffffffU

struct six {
	/* The host: the sender of a packet from inside; of one from outside, the receiver, once its session is found.
	 */
	__u64 hi;   /* upper half of its address, host byte order */
	__u64 lo;   /* lower half, octets as in a packet */
	__u32 host; /* number of its line; HOST6_NONE: it has none */
	/* The subscriber. */
	__u32 virt;    /* virtual address; 0: not known yet */
	__u64 prefix;  /* upper half of its prefix, host byte order */
	__u32 leaf;    /* INDEX_LEAF | number of the mapping */
	__u32 line;    /* number of its first host line across all mappings */
	__u32 hosts;   /* lines that it may use */
	__u32 entered; /* 1: the packet came as one of IPv6, and is one of IPv4 now; packet6.h has what it was */
	__u32 sender;  /* enum sender of a packet inwards */
	__u32 is_six;  /* 1: the packet is one of IPv6, as it came */
	__u32 retired; /* 1: the mapping only drains, and no other has the subscriber, as far as the index says */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct six);
} sixes SEC(".maps");

/* Never NULL, except to the verifier. */
static __always_inline struct six *six_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sixes, &zero);
}

/* The record is that of a subscriber of m from now on; the host is not known. Returns 0, or -1. */
static __always_inline int six_subscriber(struct six *x, const struct mapping *m, __u32 subscriber)
{
	__u32 number = LOAD(m->record6);
	const struct record6 *r = bpf_map_lookup_elem(&records6, &number);

	if (!r)
		return -1;
	x->virt = m->geo.in_base + subscriber;
	x->leaf = INDEX_LEAF | number;
	x->retired = !!(LOAD(m->geo.flags) & MAPPING_RETIRED);
	x->prefix = subscriber6_hi(r, subscriber);
	x->line = host6_number(r, m->host_shift, subscriber, 0);
	x->hosts = r->hosts;
	x->host = HOST6_NONE;
	return 0;
}

/* Second record of the mapping with a leaf. */
static __always_inline const struct record6 *record6_of(__u32 leaf)
{
	__u32 number = leaf & (MAX_MAPPINGS - 1);

	return bpf_map_lookup_elem(&records6, &number);
}

/* A host line by its number across all mappings. */
static __always_inline struct host6 *host6_line(__u32 number)
{
	__u32 chunk = number >> HOST6_CHUNK_SHIFT, within = number & (HOST6_CHUNK - 1);
	void *lines = bpf_map_lookup_elem(&hosts6, &chunk);

	return lines ? bpf_map_lookup_elem(lines, &within) : 0;
}

/* Of a subscriber's lines. */
static __always_inline struct host6 *host6_of(const struct six *x, __u32 host)
{
	return host6_line(LOAD(x->line) + (host & (HOSTS_MAX - 1)));
}

/* The bits of a host's address between the subscriber's prefix and its lower half. */
static __always_inline __u16 six_bits(const struct six *x)
{
	return (__u16)(LOAD(x->hi) ^ LOAD(x->prefix));
}

static __always_inline int host6_has(const struct six *x, const struct host6 *h)
{
	return LOAD(h->lo) == LOAD(x->lo) && LOAD(h->hi) == six_bits(x);
}

/* See bpf/base/family.h. */

static __always_inline int addr_is_virtual(__u32 addr)
{
	return addr >> (32 - VIRTUAL_PLEN) == VIRTUAL_BASE >> (32 - VIRTUAL_PLEN);
}

static __always_inline int six_has(__u32 addr)
{
	const struct six *x = six_get();

	return x && LOAD(x->virt) == addr;
}

static __always_inline __u32 six_leaf_of(__u32 addr)
{
	const struct six *x = six_get();

	return x && LOAD(x->virt) == addr && !LOAD(x->retired) ? LOAD(x->leaf) : 0;
}

static __always_inline int six_begin_inwards(const struct mapping *m, __u32 subscriber)
{
	struct six *x = six_get();

	if (!x)
		return -1;
	x->entered = x->is_six = 0;
	return six_subscriber(x, m, subscriber);
}

static __always_inline int six_is_foreign(const struct mapping *m)
{
	return !(*(const volatile __u8 *)&m->geo.flags & MAPPING_IPV6);
}

static __always_inline int six_begin_crossed(void)
{
	struct six *x = six_get();

	if (!x)
		return -1;
	x->entered = x->is_six = 0;
	return 0;
}

static __always_inline int six_begin_receiver(const struct mapping *m, __u32 subscriber)
{
	struct six *x = six_get();

	return x ? six_subscriber(x, m, subscriber) : -1;
}

static __always_inline int six_goes_inwards(ctx_t *ctx, __u32 sender)
{
	const struct iphdr *ip = ctx_data(ctx) + ETH_HLEN;
	struct six *x = six_get();

	if (!x || (void *)(ip + 1) > ctx_data_end(ctx) || !addr_is_virtual(bpf_ntohl(ip->daddr)))
		return 0;
	x->sender = sender;
	return 1;
}

int six_undo(ctx_t *ctx);
int six_turn_to(const struct mapping *m, __u32 subscriber);

static __always_inline int six_restore(ctx_t *ctx)
{
	const struct six *x = six_get();

	return x && LOAD(x->entered) ? six_undo(ctx) : 0;
}

/* Its host has a line, which only openers give or take, and its mapping does not drain. */
static __always_inline int six_may_open(void)
{
	const struct six *x = six_get();
	const struct host6 *h = x && LOAD(x->host) < HOSTS_MAX && !LOAD(x->retired) ? host6_of(x, LOAD(x->host)) : 0;

	return h && host6_has(x, h);
}

static __always_inline int six_has_entered(void)
{
	const struct six *x = six_get();

	return x && LOAD(x->entered);
}

/* See <detnat/slots.h>. */

static __always_inline int host6_is_own(__u64 word)
{
	const struct six *x = six_get();

	return x && word_host(word) == LOAD(x->host);
}

static __always_inline int host6_is_there(__u64 word)
{
	const struct six *x = six_get();
	const struct host6 *h = x ? host6_of(x, word_host(word)) : 0;
	int same = h && host6_has(x, h);

	order_reads();
	return same;
}

static __always_inline void host6_note(__u64 word)
{
	struct six *x = six_get();
	const struct host6 *h = x ? host6_of(x, word_host(word)) : 0;

	if (!h)
		return;
	STORE(x->lo, LOAD(h->lo));
	STORE(x->hi, LOAD(x->prefix) | LOAD(h->hi));
	STORE(x->host, word_host(word));
	order_reads();
}

static __always_inline __u32 host6_stamp(__u32 now)
{
	const struct six *x = six_get();

	return (now & WORD_SEEN) | (x ? LOAD(x->host) << WORD_HOST_SHIFT : 0);
}

#endif
