// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a dispatcher as libxdp's costs an entry program: calls of global functions, some of which pass, before and
 * behind one that tail-calls as detnat's does. It needs no programs of type EXT, which a kernel may refuse; one of
 * those is reached by one jump more than such a function.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} translator SEC(".maps");

/* Verdicts after which the next slot is called; set by the benchmark, so that the compiler does not know them. */
const volatile __u32 goes_on = 0;

static __always_inline int verdict_of(const struct xdp_md *ctx)
{
	volatile int verdict = XDP_PASS;

	return ctx ? verdict : XDP_ABORTED;
}

__attribute__((noinline)) int before(struct xdp_md *ctx)
{
	return verdict_of(ctx);
}

__attribute__((noinline)) int behind(struct xdp_md *ctx)
{
	return verdict_of(ctx);
}

__attribute__((noinline)) int entry(struct xdp_md *ctx)
{
	if (!ctx)
		return XDP_ABORTED;
	bpf_tail_call(ctx, &translator, 0);
	return verdict_of(ctx);
}

SEC("xdp")
int last(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int slots_none(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &translator, 0);
	return XDP_PASS;
}

SEC("xdp")
int slots_one(struct xdp_md *ctx)
{
	int verdict = entry(ctx);

	return goes_on & 1U << verdict ? XDP_PASS : verdict;
}

SEC("xdp")
int slots_three(struct xdp_md *ctx)
{
	int verdict = before(ctx);

	if (goes_on & 1U << verdict)
		verdict = entry(ctx);
	if (goes_on & 1U << verdict)
		verdict = behind(ctx);
	return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
