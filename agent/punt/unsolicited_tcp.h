/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP SYNs from outside that belong to no session (RFC 5382 REQ-4), with `unsolicited_tcp` set to "answer". They wait
 * for UNSOLICITED_WAIT seconds to see whether the subscriber opens the session; if not, the sender gets an ICMP port
 * unreachable. They come through the ring buffer `unsolicited_syns`; see <detnat/unsolicited.h>.
 */
#ifndef DETNAT_UNSOLICITED_TCP_H
#define DETNAT_UNSOLICITED_TCP_H

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include <detnat/unsolicited.h>

#include "datapath/datapath.h"

/* SYNs that wait at a time; further ones and retransmissions are dropped. */
#define UNSOLICITED_WAITING 8192U

/* ICMP errors sent per second. */
#define UNSOLICITED_PER_SECOND 1000U

struct unsolicited;

/* Takes SYNs until unsolicited_free(). base and d must outlive the result. 0 or -errno with err. */
int unsolicited_new(struct event_base *base, const struct datapath *d, struct unsolicited **ret, struct error *err);

/* Drops the SYNs that still wait. u may be NULL. */
void unsolicited_free(struct unsolicited *u);

#define UNSOLICITED_ANSWER_MAX (sizeof(struct iphdr) + sizeof(struct icmphdr) + UNSOLICITED_QUOTE_MAX)

/*
 * Writes the ICMP port unreachable (RFC 792) for a SYN, sent from an address (host byte order), as an IP packet of at
 * most UNSOLICITED_ANSWER_MAX octets, and returns its length. The kernel fills in the identification and the checksum
 * of the IP header.
 */
size_t unsolicited_answer(const struct unsolicited_syn *s, uint32_t from, uint8_t packet[UNSOLICITED_ANSWER_MAX]);

#endif
