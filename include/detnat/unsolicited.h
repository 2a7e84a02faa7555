/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP SYNs from outside that belong to no session, with "unsolicited_tcp" set to "answer" (RFC 5382 REQ-4): the
 * datapath hands them to the agent, which waits for the subscriber to open the session, and otherwise sends an ICMP
 * error.
 */
#ifndef DETNAT_UNSOLICITED_H
#define DETNAT_UNSOLICITED_H

#include <linux/types.h>

/* Seconds before a SYN is answered, as the subscriber may open the session from its side, too. */
#define UNSOLICITED_WAIT 6U

/* Octets of a packet handed over for quoting, at most: the longest IP and TCP headers. */
#define UNSOLICITED_QUOTE_MAX 120U
/* At least: both headers without options. */
#define UNSOLICITED_QUOTE_MIN 40U

/* Endpoints of a session as seen from outside, host byte order. Context of the program `session_held`. */
struct session_question {
	__u32 ext_addr;
	__u32 out_addr; /* pool address */
	__u16 ext_port;
	__u16 out_port;
	__u8 proto;
	__u8 pad[3];
};
_Static_assert(sizeof(struct session_question) == 16, "no hidden padding");

/* A record of the ring buffer `unsolicited_syns`. */
struct unsolicited_syn {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct session_question of;
	__u32 ifindex;			    /* ingress interface */
	__u32 length;			    /* octets in packet[] */
	__u8 packet[UNSOLICITED_QUOTE_MAX]; /* unmodified, starting with the IP header */
};
_Static_assert(sizeof(struct unsolicited_syn) == 32 + UNSOLICITED_QUOTE_MAX, "crosses the ring buffer");

#endif
