/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames are injected by BPF_PROG_TEST_RUN with live frames: through the attached program where XDP is native, else
 * through a program that returns XDP_PASS, after which the kernel runs the attached program itself (generic XDP).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <string.h>

#include "punt/parked_fragments.h"

int fragments_inject_open(int *ret_program)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "detnat_pass", "Dual BSD/GPL", pass, ARRAY_SIZE(pass), &opts);

	if (fd < 0)
		return fd;
	*ret_program = fd;
	return 0;
}

static int attached_program(const struct datapath *d, const struct device *in)
{
	switch (in->roles) {
	case DEVICE_INSIDE:
		return d->xdp_inside;
	case DEVICE_OUTSIDE:
		return d->xdp_outside;
	default:
		return d->xdp_both;
	}
}

/* At egress the frame is addressed to the next hop, and the kernel has lowered its TTL. */
static void make_ingress(uint8_t *frame, const struct device *in)
{
	struct iphdr ip;
	uint32_t check;

	memcpy(frame, in->mac, ETH_ALEN);
	memcpy(&ip, frame + ETH_HLEN, sizeof(ip));
	ip.ttl++;
	/* The TTL's 16-bit word grew by 0x0100 (RFC 1624). */
	check = (uint32_t)(uint16_t)~ntohs(ip.check) + 0x0100;
	check = (check & 0xffff) + (check >> 16);
	ip.check = htons((uint16_t)~check);
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
}

int fragments_inject(const struct datapath *d, int program, struct early_fragment *e)
{
	const struct device *in = e->ifindex < MAX_IFINDEX ? &d->device[e->ifindex] : NULL;
	struct xdp_md ctx = { .data_end = e->length, .ingress_ifindex = e->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = e->frame, .data_size_in = e->length, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	if (!in || !in->roles || e->length < ETH_HLEN + sizeof(struct iphdr))
		return -ENODEV;
	if (e->hook == FRAGMENT_AT_TC)
		make_ingress(e->frame, in);
	/* If XDP is attached to the interface below, frames passed up here would be seen by no program. */
	if (in->flags & DEVICE_NATIVE || in->lower)
		program = attached_program(d, in);
	return bpf_prog_test_run_opts(program, &run);
}
