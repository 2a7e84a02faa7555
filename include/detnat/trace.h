/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracing build's record of a packet, for `detnatctl trace`, and the filter that selects packets. Addresses and
 * ports are in host byte order. For ICMP echo the identifier is the requester's port, as in sessions; packets without
 * ports have 0.
 */
#ifndef DETNAT_TRACE_H
#define DETNAT_TRACE_H

#include <linux/types.h>

/*
 * The steps: X(name in code, name in output). The values `a` and `b` of each are
 *	received, rewritten	ICMP errors only, a: quoted source 32 | quoted destination 32, b: their ports 16 | 16
 *	tail_call	a: enum prog
 *	subscriber	a: inside address 32 | outside address 32, b: first port 16 | last port 16;
 *			bit 32 of b: the mapping drains; bits 40 to 47: its tenant
 *	next_hop	a: interface 32 | enum trace_hop 32, b: MTU
 *	egress		a: interface 32 | enum trace_egress 32, b: MTU
 *	session		a: state word before the packet, b: after it
 *	opened		a: outside port
 *	portmap		a: address 32 | port 32 of the other endpoint
 *	datagram	a: source 32 | destination 32 of the translated fragments, b: 1 if the entry was found, else 0
 *	mss_clamped	a: old MSS, b: new MSS
 *	untagged	a: VLAN interface
 *	answered	a: enum reason (sent_...)
 *	redirect	a: interface
 *	agent		a: interface; the agent sends the frame
 *	end		a: return value of the program
 */
#define TRACE_STEPS(X)                \
	X(received, "received")       \
	X(tail_call, "leaf")          \
	X(subscriber, "subscriber")   \
	X(next_hop, "next-hop")       \
	X(egress, "way-in")           \
	X(session, "session")         \
	X(opened, "session-opened")   \
	X(overflowed, "overflowed")   \
	X(portmap, "portmap")         \
	X(datagram, "datagram")       \
	X(mss_clamped, "mss-clamped") \
	X(untagged, "untagged")       \
	X(rewritten, "rewritten")     \
	X(answered, "answered")       \
	X(withheld, "not-answered")   \
	X(redirect, "redirect")       \
	X(agent, "to-agent")          \
	X(end, "end")

enum trace_step_kind {
#define X(name, text) TRACE_##name,
	TRACE_STEPS(X)
#undef X
		N_TRACE_STEPS
};

/* Same values as enum hop_kind and enum egress_state of the programs. */
enum trace_hop {
	TRACE_HOP_OUT,
	TRACE_HOP_OUT_TAGGED,
	TRACE_HOP_OUT_KERNEL,
	TRACE_HOP_POOL,
	TRACE_HOP_LOCAL,
	TRACE_HOP_OTHER
};
enum trace_egress { TRACE_EGRESS_READY, TRACE_EGRESS_KERNEL, TRACE_EGRESS_REFUSING, TRACE_EGRESS_UNRESOLVED };

struct trace_step {
	__u64 a;
	__u64 b;
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
	__u32 elapsed_ns; /* since the packet was received */
	__u8 kind;	  /* enum trace_step_kind */
	__u8 pad[7];
};
_Static_assert(sizeof(struct trace_step) == 40, "records cross the ring buffer");

/* The tenant in a step of the kind `subscriber`; 0: none. */
#define TRACE_TENANT_SHIFT 40

static inline __u8 trace_step_tenant(const struct trace_step *s)
{
	return (__u8)(s->b >> TRACE_TENANT_SHIFT);
}

static inline void trace_step_set_tenant(struct trace_step *s, __u8 tenant)
{
	s->b = (s->b & ~(0xffULL << TRACE_TENANT_SHIFT)) | (__u64)tenant << TRACE_TENANT_SHIFT;
}

/* Steps recorded per packet. */
#define TRACE_MAX_STEPS 40U

/* Value of `reason` if no reason was counted. */
#define TRACE_NO_REASON 0xffffU

#define TRACE_HOOK_TC	   0 /* at the egress */
#define TRACE_HOOK_XDP	   1
#define TRACE_HOOK_INGRESS 2 /* tc at the ingress */

/* A subscriber's packet of IPv6, octets of addresses as in the packet; virt 0: there was none. */
struct trace_six {
	__u64 host[2]; /* the subscriber's end */
	__u64 ext[2];  /* the other one */
	__u32 virt;    /* the subscriber's virtual address, as in steps */
	__u32 addr;    /* the other end's in the NAT64 prefix, as in steps; 0: it is in no such */
};

struct trace_record {
	__u64 time_ns;	  /* CLOCK_MONOTONIC */
	__u32 generation; /* of the filter that matched */
	__u32 ifindex;	  /* index of the interface of the hook */
	__u32 length;	  /* of the frame, octets */
	__u16 ether_type;
	__u16 ip_length; /* of the IP packet, octets; 0: not IP, or IPv6 of nobody */
	__u16 fragment;	 /* flags and offset, as in the header */
	__u16 reason;	 /* enum reason, or TRACE_NO_REASON */
	__u16 cpu;
	__u8 n_steps;
	__u8 missed; /* number of steps that did not fit */
	__u8 hook;
	__u8 proto;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	/* Used only by the programs: */
	__u8 active;
	__u8 seen;	   /* filter endpoints with a port that were seen: TRACE_SEEN_* */
	__u8 session_seen; /* a session step was recorded */
	__u8 n_tags;
	__u16 sport; /* as last seen */
	__u16 dport;
	__u16 vlan[2]; /* VLAN identifiers, outermost first */
	__u8 tenant;   /* that sent it or, from outside, whose address it is sent to; 0: none */
	__u8 pad2;
	__u32 src;
	__u32 dst;
	__u32 pad3;
	struct trace_six six[2]; /* the packet as it came, and as it was last */
	struct trace_step step[TRACE_MAX_STEPS];
};
_Static_assert(sizeof(struct trace_record) == 64 + 2 * 40 + 40 * TRACE_MAX_STEPS, "no hidden padding");

/* Address 0: any. Port 0: any. */
struct trace_endpoint {
	__u32 addr;
	__u16 port;
	__u16 pad;
};

#define TRACE_SEEN_IN  0x01
#define TRACE_SEEN_OUT 0x02
#define TRACE_SEEN_EXT 0x04

/*
 * A packet matches if every endpoint with an address concerns it. An endpoint with a port must also be seen as source
 * or destination at some step, which is known only at the end. The agent sets the filter, and the programs count `left`
 * down; nothing is recorded unless it is above 0.
 */
struct trace_filter {
	__s64 left;
	__u64 missed; /* records that found the ring buffer full */
	__u32 generation;
	struct trace_endpoint in;
	struct trace_endpoint out;
	struct trace_endpoint ext;
	__u8 proto;  /* 0: any */
	__u8 seen;   /* TRACE_SEEN_* bits required of a record */
	__u8 tenant; /* whose packets, and of several with the address `in` which one; 0: any */
	__u8 pad;
	__u64 host[2]; /* of the IPv6 subscriber `in`: the host, octets as in a packet; 0: any */
};
_Static_assert(sizeof(struct trace_filter) == 64, "no hidden padding");

#endif
