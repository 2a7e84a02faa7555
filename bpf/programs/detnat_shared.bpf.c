// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The entry programs of XDP for a slot of libxdp's dispatcher, which the helper detnat-xdp loads as freplace programs
 * around the agent's maps.
 */
#include "base/ctx_xdp.h"

#include "base/entry.h"

PROGRAMS(entries, N_ENTRIES);

char _license[] SEC("license") = "Dual BSD/GPL";

XDP_ENTRIES

/*
 * What they are loaded for before the dispatcher is known. A freplace program may change the packet only if its target
 * does, and the kernel compares the attach types of this target and the dispatcher: so it is a plain XDP program.
 */
SEC("xdp")
int slot(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, 0);
	return XDP_PASS;
}
