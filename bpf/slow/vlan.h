/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames with VLAN tags. If the VLAN interface is one of ours, the tags are removed and the frame goes through the slow
 * path as if received on that interface; if the slow path passes it to the kernel, it gets the same tags back. A tag
 * with VLAN identifier 0 carries only a priority: the frame belongs to the interface itself.
 */
#ifndef DETNAT_VLAN_H
#define DETNAT_VLAN_H

#include "translate/forward.h"

/* Finds a frame's VLAN interface, and copies the tags to *ret. Returns its index, or 0 if the kernel has to decide. */
static __always_inline __u32 vlan_find(ctx_t *ctx, struct vlan_tags *ret)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct vlan_tag *tag = data + sizeof(struct ether_addresses);
	__u32 ifindex = received_by(device_get(ctx_ingress(ctx)), ctx_ingress(ctx));

	ret->n = 0;
	for (__u32 i = 0; i < MAX_VLAN_TAGS; i++, tag++) {
		if ((void *)(tag + 1) + sizeof(__be16) > data_end)
			return 0;
		if (!is_vlan_tpid(tag->tpid))
			return ifindex;

		struct vlan_key key = { .lower = ifindex,
					.tpid = bpf_ntohs(tag->tpid),
					.id = bpf_ntohs(tag->tci) & VLAN_ID_MASK };
		const __u32 *found = bpf_map_lookup_elem(&vlans, &key);

		if (found)
			ifindex = *found;
		else if (key.id)
			return 0;
		ret->tag[i] = *tag;
		ret->n = i + 1;
	}
	return is_vlan_tpid(tag->tpid) ? 0 : ifindex;
}

/*
 * Runs the slow path and returns here: a tail call from a subprogram ends only the subprogram. The barrier hides the
 * return value, as the compiler would draw a wrong conclusion about it.
 */
SUBPROGRAM int vlan_inner(struct xdp_md *ctx, __u32 prog)
{
	int verdict;

	TRACE_STEP(tail_call, prog, 0);
	bpf_tail_call(ctx, &programs, prog);
	verdict = finish(CTX_PASS, REASON_no_program);
	barrier_var(verdict);
	return verdict;
}

static __always_inline int vlan(struct xdp_md *ctx)
{
	struct arguments *n = arguments_get();
	struct vlan_tags tags = {};
	__u32 ifindex = vlan_find(ctx, &tags), prog;
	struct device *in = ifindex ? device_get(ifindex) : 0;
	int verdict;

	if (!n || !in || !in->roles || !tags.n)
		return pass_untranslated();
	prog = in->roles == DEVICE_INSIDE ? PROG_in2out : in->roles == DEVICE_OUTSIDE ? PROG_out2in : PROG_both;
	if (vlan_tags_pop(ctx, tags.n))
		return drop(REASON_drop_error);
	TRACE_STEP(untagged, ifindex, 0);
	*(volatile __u32 *)&n->ingress = ifindex;
	verdict = vlan_inner(ctx, prog);
	n = arguments_get();
	if (!n)
		return XDP_ABORTED;
	*(volatile __u32 *)&n->ingress = 0;
	if (verdict == XDP_PASS && vlan_tags_push(ctx, &tags))
		return XDP_ABORTED;
	return verdict;
}

#endif
