// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A dispatcher of libxdp's protocol 2, as Debian 12's libxdp expects in xdp-dispatcher.o, but with slots that change
 * packet data: from Linux 6.12 on, only in such a slot may a program stand that does.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/prog_dispatcher.h>

static volatile const struct xdp_dispatcher_config conf = { 0 };

/* What the kernel replaces. Never optimised away, and without an effect on the packet. */
#define SLOT(name)                                             \
	__attribute__((noinline)) int name(struct xdp_md *ctx) \
	{                                                      \
		volatile int verdict = XDP_DISPATCHER_RETVAL;  \
                                                               \
		if (!ctx)                                      \
			return XDP_ABORTED;                    \
		bpf_xdp_adjust_tail(ctx, 0);                   \
		return verdict;                                \
	}

SLOT(prog0)
SLOT(prog1)
SLOT(prog2)
SLOT(prog3)
SLOT(prog4)
SLOT(prog5)
SLOT(prog6)
SLOT(prog7)
SLOT(prog8)
SLOT(prog9)
SLOT(compat_test)

#define RUN(number)                                             \
	if (enabled < (number) + 1)                             \
		goto out;                                       \
	verdict = prog##number(ctx);                            \
	if (!(1U << verdict & conf.chain_call_actions[number])) \
	return verdict

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	__u8 enabled = conf.num_progs_enabled;
	int verdict;

	RUN(0);
	RUN(1);
	RUN(2);
	RUN(3);
	RUN(4);
	RUN(5);
	RUN(6);
	RUN(7);
	RUN(8);
	RUN(9);
	/* For libxdp's test whether the kernel can replace functions. */
	if (enabled < 11)
		goto out;
	compat_test(ctx);
out:
	return XDP_PASS;
}

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(dispatcher_version, XDP_DISPATCHER_VERSION);
} dispatcher_version SEC(XDP_METADATA_SECTION);
