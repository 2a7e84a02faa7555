/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracing build: this core's record of the current packet, and the functions that the macros of trace_points.h
 * call. Functions that are not inlined are global, so that each is verified once, however many paths call it.
 */
#ifndef DETNAT_TRACE_RECORD_H
#define DETNAT_TRACE_RECORD_H

#include "base/trace_points.h"
#include "subscriber/lookup.h"
#include "trace/trace_read.h"

/*
 * Created by the agent for all objects; gone with the tracing build. The records are shared as well: programs of one
 * family go on with what those of the other have begun.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_filter);
} trace_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} trace_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_record);
} trace_records SEC(".maps");

static __always_inline struct trace_filter *trace_filter_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trace_filter, &zero);
}

/* This core's record if the current packet is being traced, or NULL. */
static __always_inline struct trace_record *trace_record_get(void)
{
	__u32 zero = 0;
	struct trace_record *r = bpf_map_lookup_elem(&trace_records, &zero);

	return r && r->active ? r : 0;
}

/* Adds a step with the addresses last seen, if there is room. */
static __always_inline void trace_add(struct trace_record *r, __u32 kind, __u64 a, __u64 b)
{
	__u32 n = r->n_steps;
	struct trace_step *s;

	barrier_var(n);
	/* The last place is reserved for the end. */
	if (n >= TRACE_MAX_STEPS - (kind != TRACE_end)) {
		r->missed += r->missed != 255;
		return;
	}
	s = &r->step[n];
	r->n_steps = n + 1;
	s->kind = kind;
	s->a = a;
	s->b = b;
	s->src = r->src;
	s->dst = r->dst;
	s->sport = r->sport;
	s->dport = r->dport;
	s->elapsed_ns = bpf_ktime_get_ns() - r->time_ns;
}

/* Records a step that does not change the packet. */
__noinline int trace_mark(__u32 kind, __u64 a, __u64 b)
{
	struct trace_record *r = trace_record_get();

	if (!r || (kind == TRACE_session && !b && r->session_seen))
		return 0;
	/* A packet of a portmap has no session of its own, so later steps about one are skipped, too. */
	if (kind == TRACE_session || kind == TRACE_opened || kind == TRACE_portmap)
		r->session_seen = 1;
	trace_add(r, kind, a, b);
	return 0;
}

static __always_inline void trace_note_seen(struct trace_record *r, const struct trace_filter *f, __u32 addr,
					    __u16 port)
{
	if (f->in.port == port && f->in.addr == addr)
		r->seen |= TRACE_SEEN_IN;
	if (f->out.port == port && f->out.addr == addr)
		r->seen |= TRACE_SEEN_OUT;
	if (f->ext.port == port && f->ext.addr == addr)
		r->seen |= TRACE_SEEN_EXT;
}

static __always_inline void trace_add_packet(struct trace_record *r, const struct trace_filter *f,
					     const struct trace_headers *h, __u32 kind, __u64 a, __u64 b)
{
	r->src = h->src;
	r->dst = h->dst;
	r->sport = h->sport;
	r->dport = h->dport;
#if FAMILY6
	if (h->six.virt) {
		if (kind == TRACE_received)
			r->six[0] = h->six;
		r->six[1] = h->six;
	}
#endif
	if (h->quoted_src && kind != TRACE_end) {
		a = (__u64)h->quoted_src << 32 | h->quoted_dst;
		b = (__u64)h->quoted_sport << 16 | h->quoted_dport;
	}
	trace_add(r, kind, a, b);
	trace_note_seen(r, f, h->src, h->sport);
	trace_note_seen(r, f, h->dst, h->dport);
	trace_note_seen(r, f, h->quoted_src, h->quoted_sport);
	trace_note_seen(r, f, h->quoted_dst, h->quoted_dport);
}

static __always_inline int trace_packet(ctx_t *ctx, __u32 kind, __u64 a, __u64 b)
{
	struct trace_record *r = trace_record_get();
	const struct trace_filter *f = trace_filter_get();
	const struct trace_headers *h;

	if (!r || !f)
		return 0;
	h = trace_read(ctx);
	if (h)
		trace_add_packet(r, f, h, kind, a, b);
	return 0;
}

/* Records a step with the packet's current addresses. */
__noinline int trace_look(ctx_t *ctx, __u32 kind, __u64 a, __u64 b)
{
	return trace_packet(ctx, kind, a, b);
}

/* Records that a counter was incremented, one for which trace_counts() returns 1. */
__noinline int trace_count(__u32 reason)
{
	struct trace_record *r = trace_record_get();

	if (!r)
		return 0;
	if (reason <= REASON_no_program || reason == REASON_fragments_parked)
		r->reason = reason;
	else if (reason < REASON_sessions_opened)
		trace_add(r, TRACE_answered, reason, 0);
	else if (reason == REASON_sessions_overflowed)
		trace_add(r, TRACE_overflowed, 0, 0);
	else if (reason == REASON_icmp_withheld)
		trace_add(r, TRACE_withheld, 0, 0);
	return 0;
}

/* Returns 1 if a record may be of the host that is asked for: one that no host is known of may. */
static __always_inline int trace_is_of_host(const struct trace_record *r, const struct trace_filter *f)
{
	int known = 0;

	if (!f->host[1])
		return 1;
	for (int i = 0; i < 2; i++) {
		if (r->six[i].host[0] == f->host[0] && r->six[i].host[1] == f->host[1])
			return 1;
		known |= r->six[i].virt == f->in.addr;
	}
	return !known;
}

/* Hands a record to the agent if it passes the filter. */
static __always_inline void trace_hand_over(struct trace_record *r, struct trace_filter *f)
{
	r->active = 0;
	if ((r->seen & f->seen) != f->seen || r->generation != f->generation || !trace_is_of_host(r, f))
		return;
	if (__sync_fetch_and_add(&f->left, -1) <= 0)
		return;
	if (bpf_ringbuf_output(&trace_ring, r, sizeof(*r), 0)) {
		__sync_fetch_and_add(&f->left, 1);
		__sync_fetch_and_add(&f->missed, 1);
	}
}

/* Ends the packet's record. */
__noinline int trace_end(ctx_t *ctx, __u32 verdict)
{
	struct trace_record *r = trace_record_get();
	struct trace_filter *f = trace_filter_get();

	if (!r || !f)
		return 0;
	trace_packet(ctx, TRACE_end, verdict, 0);
	trace_hand_over(r, f);
	return 0;
}

/* Records the subscriber of a packet. */
__noinline int trace_subscriber(const struct mapping *m, __u32 number)
{
	struct trace_record *r = trace_record_get();
	__u32 first;

	if (!m || !r)
		return 0;
	first = mapping_port_lo(&m->geo, number);
	trace_add(r, TRACE_subscriber, (__u64)(m->geo.in_base + number) << 32 | mapping_out_addr(&m->geo, number),
		  (__u64)first << 16 | (first + m->geo.ports_per_host - 1) |
			  (__u64) !!(LOAD(m->geo.flags) & MAPPING_RETIRED) << 32 |
			  (__u64)LOAD(m->tenant) << TRACE_TENANT_SHIFT);
	return 0;
}

#endif
