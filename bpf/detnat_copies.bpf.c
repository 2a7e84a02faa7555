// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The program that places sessions told by other gateways. No packet comes here: the agent runs it. */
#include "ctx_xdp.h"

#include "session_copy.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static long copy_next(__u32 i, void *unused)
{
	struct session_copies *all = copies_get();
	struct session_copy *c;

	if (!all || i >= COPIES_BATCH)
		return 1;
	c = &all->copy[i];
	if (LOAD(c->result) == COPY_BUSY)
		STORE(c->result, (__u8)copy_place(c));
	return 0;
}

/* Places those sessions of the map `copies` whose result is COPY_BUSY. Returns 0. */
SEC("syscall")
int session_copies(void *ctx)
{
	struct session_copies *all = copies_get();

	if (all)
		bpf_loop(LOAD(all->n), copy_next, 0, 0);
	return 0;
}
