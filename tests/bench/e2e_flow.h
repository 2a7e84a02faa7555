/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the end-to-end benchmark and its XDP programs share, by mmap. */
#ifndef DETNAT_BENCH_E2E_FLOW_H
#define DETNAT_BENCH_E2E_FLOW_H

#include <linux/types.h>

#define E2E_MAX_FLOWS (1U << 20)
/* Gateways that one measured path may be spread over. */
#define E2E_MAX_LANES 8U
/* Directions of each, which frames are sent in by turns. */
#define E2E_MAX_WAYS (2U * E2E_MAX_LANES)
/* Frames made at a time; all of them go the same way. */
#define E2E_BATCH_SHIFT 6U
#define E2E_BATCH	(1U << E2E_BATCH_SHIFT)
/* Frame sizes in the order in which they are sent: 7, 4 and 1 of 12 for IMIX. */
#define E2E_MAX_PATTERN 12U
#define E2E_MAX_FRAME	1514U

#define E2E_TTL 64U

/* A packet to send. Network byte order, but for the number, which the packet carries so that it is known on arrival. */
struct e2e_flow {
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
	__u32 number;
};
_Static_assert(sizeof(struct e2e_flow) == 16, "mapped by the programs");

/* What a flow's packets from inside had for a source when they arrived; network byte order. */
struct e2e_endpoint {
	__u32 addr;
	__u16 port;
	__u16 known;
};
_Static_assert(sizeof(struct e2e_endpoint) == 8, "mapped by the programs");

/* A frame size, and the sums of all 16-bit words of its headers and payload that do not depend on the flow. */
struct e2e_shape {
	__u32 length; /* octets in memory, without the FCS */
	__u32 ip_sum;
	__u64 l4_sum;
};

/* The two ends of the world, each a side of every gateway. */
enum e2e_side { SIDE_HOSTS, SIDE_INTERNET, N_SIDES };

/* What the programs are told. */
struct e2e_orders {
	__u32 ifindex[E2E_MAX_WAYS]; /* where frames go, in turn */
	__u32 ways;
	__u32 pattern; /* used elements of shape, 1 or 12 */
	__u32 learn;   /* note what the sources became */
	__u32 sample_mask;
	__u64 expected; /* packets to send; as many arrive, or connections complete */
	struct e2e_shape shape[E2E_MAX_PATTERN];
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__u8 pad[4];
};

/* A moment: nanoseconds of CLOCK_MONOTONIC, and how many of them the sender was kept waiting for its core so far. */
struct e2e_moment {
	__u64 at;
	__u64 waited;
};

/* What they report. */
struct e2e_tally {
	struct e2e_moment first; /* packet about to be sent */
	struct e2e_moment last;	 /* packet sent, and once all that is expected has arrived, then */
	__u64 sent;
	__u64 arrived[N_SIDES];
	__u64 strange;	 /* IPv4 that nobody sent */
	__u64 completed; /* TCP connections of which the last ACK arrived */
	__u64 samples_lost;
};

/* A frame as it arrived. */
struct e2e_sample {
	__u32 side;
	__u32 length;
	__u8 frame[E2E_MAX_FRAME + 6];
};

/*
 * TCP sequence numbers tell the flow: the hosts' are number * 16 and up, the servers' the same with the highest bit
 * set.
 */
#define E2E_SEQ_SHIFT  4U
#define E2E_SEQ_SERVER 0x80000000U

#endif
