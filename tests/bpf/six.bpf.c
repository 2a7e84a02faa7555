// SPDX-License-Identifier: BSD-2-Clause
/*
 * The translation between IPv6 and IPv4 by itself: programs that do nothing else to a packet, for the tests. What the
 * tables would say of a packet is in `six_scene`, what a program has found out in `six_outcome`.
 */
#include "base/ctx_xdp.h"

#include "six_scene.h"
#include "six/enter.h"
#include "six/leave.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct six_scene six_scene;
struct six_outcome six_outcome;

static __always_inline int read_and_enter(ctx_t *ctx)
{
	struct packet6 *s = packet6_get();
	struct record6 r = six_scene.record;
	int result = packet6_read(ctx);

	if (!s)
		return -1;
	six_outcome.pointer = s->whole.pointer;
	if (result)
		return result;
	six_outcome.is_error = s->is_error;
	s->virt = six_scene.virt;
	s->quoted_virt = six_scene.virt;
	s->out_addr = six_scene.out_addr;
	s->mtu4 = six_scene.mtu4;
	s->mtu6 = six_scene.mtu6;
	return enter_packet(ctx, &r);
}

/* The reason for which the slow path drops what it cannot read, in the same words; 0: none. */
static __always_inline int unreadable(ctx_t *ctx, struct packet *p)
{
	enum packet_kind kind = parse(ctx, p);

	return kind == PACKET_BAD_HEADER || kind == PACKET_BAD_TRANSPORT || kind == PACKET_TINY_FRAGMENT ||
			       kind == PACKET_ENDLESS_FRAGMENT || kind == PACKET_NOT_IPV4
		       ? (int)parse_drop_reason(kind)
		       : 0;
}

SEC("xdp.frags")
int six_enter(struct xdp_md *ctx)
{
	struct packet p;

	six_outcome.result = read_and_enter(ctx);
	if (!six_outcome.result)
		six_outcome.result = unreadable(ctx, &p);
	return XDP_PASS;
}

SEC("xdp.frags")
int six_undo(struct xdp_md *ctx)
{
	six_outcome.result = read_and_enter(ctx);
	if (!six_outcome.result)
		six_outcome.result = enter_undo(ctx);
	return XDP_PASS;
}

SEC("xdp.frags")
int six_leave(struct xdp_md *ctx)
{
	struct leave_to to = { .addr = { six_scene.host[0], six_scene.host[1] },
			       .mtu4 = six_scene.mtu4,
			       .mtu6 = six_scene.mtu6 };
	struct record6 r = six_scene.record;
	struct packet p;

	six_outcome.result = unreadable(ctx, &p);
	if (!six_outcome.result)
		six_outcome.result = leave_refusal(ctx, &p, p.src, &r);
	if (!six_outcome.result)
		six_outcome.result = leave_packet(ctx, &r, &to);
	return XDP_PASS;
}
