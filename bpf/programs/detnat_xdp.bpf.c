// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the XDP hook: the main programs, which the entry programs call, and the programs that these tail-call.
 * docs/internals/ARCHITECTURE.md shows a packet's path through them.
 */
#include "base/ctx_xdp.h"

#include "icmp/icmp_turned.h"
#include "programs/ingress_programs.h"
#include "slow/vlan.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags")
int in2out_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_in2out(ctx, 1, 0, 0, 0), PROG_in2out));
}

/* Loaded instead of in2out_xdp if the source of every packet is checked: see main_program() in the agent. */
SEC("xdp.frags")
int in2out_each_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_in2out(ctx, 1, 1, 0, 0), PROG_in2out));
}

SEC("xdp.frags")
int out2in_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_out2in(ctx, 1, 0, 0, 0), PROG_out2in));
}

/* Loaded instead of in2out_xdp and out2in_xdp if mappings are open, whose packets others need not know of. */
SEC("xdp.frags")
int in2out_open_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_in2out(ctx, 1, 0, 1, 0), PROG_in2out));
}

SEC("xdp.frags")
int out2in_open_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_out2in(ctx, 1, 1, 0, 0), PROG_out2in));
}

/* Loaded instead of those if there are tenants; what is open goes to the slow path. */
SEC("xdp.frags")
int in2out_tenants_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_in2out(ctx, 1, settings.source_check == SOURCES_STRICT_EACH, 0, 1),
				   PROG_in2out));
}

SEC("xdp.frags")
int out2in_tenants_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_out2in(ctx, 1, 0, 1, 0), PROG_out2in));
}

/* A subprogram, so that the headers need not be kept for it. */
SUBPROGRAM int frame_is_ipv6(struct xdp_md *ctx)
{
	const __be16 *data = ctx_data(ctx);

	return (void *)(data + 7) <= ctx_data_end(ctx) && data[6] == bpf_htons(ETH_P_IPV6);
}

/*
 * Loaded instead of those if there are IPv6 subscribers. Where others have the place, or for tagged frames, the slow
 * path calls the programs for these.
 */
SEC("xdp.frags")
int in2out_six_xdp(struct xdp_md *ctx)
{
	int verdict;

	TRACE_BEGIN(ctx);
	verdict = fast_in2out(ctx, 1, 0, 0, 0);
	if (unlikely(!FINAL(verdict)) && frame_is_ipv6(ctx))
		return TRACED(ctx, tail_call(ctx, PROG_six_out));
	return TRACED(ctx, or_slow(ctx, verdict, PROG_in2out));
}

SEC("xdp.frags")
int out2in_six_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, or_slow(ctx, fast_out2in(ctx, 1, OPEN_BY_SETTINGS, 0, 1), PROG_out2in));
}

/* Loaded instead of in2out_xdp and out2in_xdp if routing depends on more than the destination. */
SEC("xdp.frags")
int in2out_cached_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, in2out_cached(ctx));
}

SEC("xdp.frags")
int out2in_cached_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, out2in_cached(ctx));
}

SEC("xdp.frags")
int both_xdp(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, both(ctx));
}

/* Defines a tail-called program, implemented by `function`. */
#define PROGRAM(name, function)                    \
	SEC("xdp.frags")                           \
	int prog_##name##_xdp(struct xdp_md *ctx)  \
	{                                          \
		return TRACED(ctx, function(ctx)); \
	}

INGRESS_PROGRAMS
FORWARDING_PROGRAMS
PROGRAM(vlan, vlan)
PROGRAM(turned, hairpin_turned)
PROGRAM(turned_inbound, turned_inbound)
PROGRAM(icmp_turned, icmp_turned)
PROGRAM(fragment_turned, fragment_turned)

/* Adds to a counter for the agent. Atomic, because a packet on this core may interrupt it. Returns 0, or -1. */
SEC("syscall")
int agent_count(struct agent_count *a)
{
	__u32 zero = 0, reason = a->reason;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (!c || reason >= N_REASONS)
		return -1;
	__sync_fetch_and_add(&((__u64 *)c)[reason], a->n);
	return 0;
}

/* Tells the agent the datapath's time: returns the current tick. */
SEC("syscall")
int clock_ticks(void *ctx)
{
	return (int)now_ticks();
}

/* Returns 1 if a segment from outside with these endpoints would find a session now, else 0. */
SEC("syscall")
int session_held(struct session_question *q)
{
	return session_is_held(q);
}

/* Changes the binding of a granted port for the agent, under the lock. Returns enum grant_binding_changed. */
SEC("syscall")
int grant_binding_change(struct grant_binding_change *c)
{
	return settings.growth && settings.bindings ? grant_binding_do(c) : GRANT_BINDING_NOT;
}

/* Gives up a subscriber's extent for the agent, under the lock, if it is empty. Returns 1 if so. */
SEC("syscall")
int extent_release(struct extent_release *r)
{
	return settings.extent_buckets ? extent_do_release(r) : 0;
}
