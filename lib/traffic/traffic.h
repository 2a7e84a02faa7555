/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traffic of subscribers as other programs record it, read as flows: connection tables of Linux and RouterOS, flows and
 * NAT events as nfdump prints them, captures, sessions of detnat, and a neutral line.
 *
 * Addresses and ports are in host byte order. Memory does not grow with the length of a file.
 */
#ifndef DETNAT_TRAFFIC_H
#define DETNAT_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The timers of connection tables: X(constant, name, detnat's state). A table shows the time that an entry has left;
 * the longest such time in a file tells how long the timer is, see traffic_timer_length().
 */
#define TRAFFIC_TIMERS(X)                                                 \
	X(TIMER_ESTABLISHED, "tcp established", SESSION_ESTABLISHED)      \
	X(TIMER_SYN_SENT, "tcp syn sent", SESSION_SYN_SENT)               \
	X(TIMER_SYN_RECEIVED, "tcp syn received", SESSION_SYN_ANSWERED)   \
	X(TIMER_FIN_WAIT, "tcp fin wait", SESSION_FIN_WAIT)               \
	X(TIMER_CLOSE_WAIT, "tcp close wait", SESSION_CLOSE_WAIT)         \
	X(TIMER_LAST_ACK, "tcp last ack", SESSION_LAST_ACK_IN)            \
	X(TIMER_TIME_WAIT, "tcp time wait", SESSION_TIME_WAIT)            \
	X(TIMER_CLOSE, "tcp close", (SESSION_TRANSITORY | SESSION_RESET)) \
	X(TIMER_UDP, "udp", SESSION_UDP)                                  \
	X(TIMER_UDP_STREAM, "udp stream", SESSION_UDP)                    \
	X(TIMER_ICMP, "icmp", SESSION_ICMP)

enum traffic_timer {
	TIMER_NONE,
#define X(constant, name, state) constant,
	TRAFFIC_TIMERS(X)
#undef X
		N_TRAFFIC_TIMERS
};

extern const char *const traffic_timer_names[N_TRAFFIC_TIMERS];

struct traffic_flow {
	int64_t first_ms; /* time of the first packet, since 1970 */
	int64_t last_ms;  /* of the last one; with a timer: what it has left */
	uint32_t src;
	uint32_t dst;
	uint32_t out_addr; /* the source's outside endpoint, if known; 0: unknown */
	uint16_t sport;	   /* of ICMP the identifier, and dport is 0 */
	uint16_t dport;
	uint16_t out_port;
	uint8_t proto; /* 1, 6 or 17 */
	uint8_t state; /* enum session_state after the last packet, with SESSION_RESET */
	uint8_t timer; /* enum traffic_timer */
	bool exact;    /* last_ms is the end of the session, not its last packet */
};

#define TRAFFIC_NAMED 10U /* lines that are not understood are named up to here */

struct traffic_notes {
	const char *format;
	uint64_t lines; /* or packets */
	uint64_t octets;
	uint64_t flows;
	uint64_t other;	  /* other protocols, and IPv6 */
	uint64_t garbage; /* lines that are not understood */
	struct {
		uint64_t line;
		char text[72]; /* its beginning, quoted */
	} named[TRAFFIC_NAMED];
	int64_t longest_ms[N_TRAFFIC_TIMERS]; /* the longest time left */
	bool cut;			      /* the file ends within a record */
	bool naive;			      /* times without a zone are taken for UTC */
};

/* Takes a flow; returns 0, or -errno, which ends the reading. */
typedef int (*traffic_take)(void *arg, const struct traffic_flow *flow);

/*
 * Reads a file to its end; its format is recognised by its beginning. taken_ms: time of a connection table, which says
 * none itself. Returns 0; or -EINVAL with err if the format is unknown or its flows are sampled, or another -errno with
 * err. The caller closes fd.
 */
int traffic_read(int fd, const char *name, int64_t taken_ms, traffic_take take, void *arg,
		 struct traffic_notes *ret_notes, struct error *err);

/*
 * The full length of a timer of which at most longest_ms were left: the least of the lengths in use that is not below.
 * Milliseconds.
 */
int64_t traffic_timer_length(int64_t longest_ms);

#endif
