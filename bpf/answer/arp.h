/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers ARP requests for pool addresses (RFC 826). Requests for the gateway's own addresses go to the kernel. */
#ifndef DETNAT_ARP_H
#define DETNAT_ARP_H

#include "base/count.h"
#include "translate/forward.h"

/* <linux/if_arp.h> cannot be included here: it pulls in C library headers. */
#define ARP_ETHERNET 1
#define ARP_REQUEST  1
#define ARP_REPLY    2

struct arp_packet {
	struct ethhdr eth;
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_addr[4];
	__u8 target_mac[6];
	__u8 target_addr[4];
} __attribute__((packed));

static __always_inline int arp(ctx_t *ctx)
{
	struct arp_packet *a = ctx_data(ctx);
	struct device *in = device_get(packet_ingress(ctx));
	__be32 sender_be, target_be;

	if ((void *)(a + 1) > ctx_data_end(ctx) || !in || !in->roles)
		return pass_untranslated();
	/* Addressed to this station, or broadcast (the group bit is set). */
	if (!(a->eth.h_dest[0] & 1) && !mac_equal(a->eth.h_dest, in->mac))
		return pass_untranslated();
	if (a->hardware != bpf_htons(ARP_ETHERNET) || a->protocol != bpf_htons(ETH_P_IP) || a->hardware_length != 6 ||
	    a->protocol_length != 4 || a->operation != bpf_htons(ARP_REQUEST))
		return pass_untranslated();
	__builtin_memcpy(&sender_be, a->sender_addr, 4);
	__builtin_memcpy(&target_be, a->target_addr, 4);
	/* A gratuitous ARP expects no reply. */
	if (sender_be == target_be || !leaf_outside(bpf_ntohl(target_be)) ||
	    address_is_local(ctx, bpf_ntohl(sender_be), bpf_ntohl(target_be)))
		return pass_untranslated();

	__builtin_memcpy(a->eth.h_dest, a->sender_mac, 6);
	__builtin_memcpy(a->eth.h_source, in->mac, 6);
	a->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(a->target_mac, a->sender_mac, 6);
	__builtin_memcpy(a->target_addr, &sender_be, 4);
	__builtin_memcpy(a->sender_mac, in->mac, 6);
	__builtin_memcpy(a->sender_addr, &target_be, 4);
	count_add(REASON_arp_answered, 1);
	return send_by(ctx, packet_ingress(ctx));
}

#endif
