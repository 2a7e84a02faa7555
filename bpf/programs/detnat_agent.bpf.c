// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs that the agent loads for itself, each where it needs it, and that end with it: session_copies places,
 * changes and ends sessions announced by other gateways; pcp_sender looks at packets to the PCP server.
 */
#define SYSCALL_PROGRAMS 1
#include "base/ctx_xdp.h"

#include <detnat/pcp_sender.h>

#include "copy/extent_copy.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/*
 * The mapping of a request, or NULL: there is none, or it has no such subscriber, state or port (no session has port
 * 0). Not inlined, as kernel 6.1 has 512 octets of stack for the whole chain of calls (tests/bpf/stacks.py).
 */
static __noinline const struct mapping *copy_mapping(const struct session_copy *c)
{
	struct mapping_table *t = mapping_table_get();
	const struct mapping *m;

	if (!t || !c || c->mapping >= MAX_MAPPINGS)
		return 0;
	m = mapping_of_leaf(t, INDEX_LEAF | c->mapping);
	if (!m || m->first_bucket == NO_BUCKETS || c->subscriber > m->geo.last_subscriber ||
	    (c->request != COPY_END &&
	     (!copy_state_fits(c->key, word_proto(c->word), word_state(c->word)) || !word_out_port(c->word))))
		return 0;
	return m;
}

/* Does what a request asks for. Returns enum copy_result. */
static __always_inline int copy_do(struct session_copy *c)
{
	const struct mapping *m = copy_mapping(c);
	struct subscriber *s;
	int r;

	if (!m)
		return COPY_IMPOSSIBLE;
	s = subscriber_get(m, c->subscriber);
	if (!s)
		return COPY_IMPOSSIBLE;
	if (open_lock(s))
		return COPY_BUSY;
	switch (c->request) {
	case COPY_TO_SLOT:
		r = copy_place_locked(m, s, c);
		break;
	case COPY_TO_EXTENT:
		r = copy_beyond(m, s, c);
		break;
	default:
		r = copy_end(m, s, c);
	}
	open_unlock(s);
	/* An external endpoint that is a pool address may be the subscriber's peer in a hairpin. */
	if (r == COPY_PLACED && leaf_outside(key_ext_addr(c->key)))
		hairpins_note(s);
	return r;
}

static long copy_next(__u32 i, void *unused)
{
	struct session_copies *all = copies_get();
	struct session_copy *c;

	if (!all || i >= COPIES_BATCH)
		return LOOP_END;
	c = &all->copy[i];
	if (LOAD(c->result) == COPY_BUSY)
		STORE(c->result, (__u8)copy_do(c));
	return LOOP_ON;
}

/* Handles those requests in the map `copies` whose result is COPY_BUSY. Returns 0. */
SEC("syscall")
int session_copies(void *ctx)
{
	struct session_copies *all = copies_get();

	if (all)
		bpf_loop(LOAD(all->n), copy_next, 0, 0);
	return 0;
}

#define WHOLE_PACKET (-1)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PCP_SENDERS);
	__type(key, struct pcp_sender_key);
	__type(value, struct pcp_sender);
} senders SEC(".maps");

/*
 * A filter of the PCP server's sockets. It passes all packets and records the MAC address from which each request for a
 * lease came. The data of a packet at a socket begin with the UDP header.
 */
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
