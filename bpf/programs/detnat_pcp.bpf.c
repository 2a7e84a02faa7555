// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A filter of the PCP server's sockets, which end with the agent. It passes all packets and records the MAC address
 * from which each request for a lease came.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

#include <detnat/pcp_sender.h>

#define WHOLE_PACKET (-1)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PCP_SENDERS);
	__type(key, struct pcp_sender_key);
	__type(value, struct pcp_sender);
} senders SEC(".maps");

/* The data of a packet at a socket begin with the UDP header. */
SEC("socket")
int pcp_sender(struct __sk_buff *skb)
{
	struct pcp_sender_key key = {};
	struct pcp_sender value = {};

	if (bpf_skb_load_bytes(skb, __builtin_offsetof(struct udphdr, source), &key.port, sizeof(key.port)) ||
	    bpf_skb_load_bytes(skb, sizeof(struct udphdr) + PCP_SENDER_FROM, key.which, sizeof(key.which)) ||
	    bpf_skb_load_bytes_relative(skb, __builtin_offsetof(struct iphdr, saddr), &key.addr, sizeof(key.addr),
					BPF_HDR_START_NET) ||
	    bpf_skb_load_bytes_relative(skb, __builtin_offsetof(struct ethhdr, h_source), value.mac, sizeof(value.mac),
					BPF_HDR_START_MAC))
		return WHOLE_PACKET;
	bpf_map_update_elem(&senders, &key, &value, BPF_ANY);
	return WHOLE_PACKET;
}

char _license[] SEC("license") = "Dual BSD/GPL";
