/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP SYNs from outside that are of no session (RFC 5382 REQ-4), where `unsolicited_tcp` is "answer": they wait, and
 * who sent one gets an ICMP port unreachable if the inside has opened no session for it after UNSOLICITED_WAIT seconds.
 * The datapath hands them over by the ring buffer `unsolicited_syns`; see <detnat/unsolicited.h>.
 */
#ifndef DETNAT_UNSOLICITED_TCP_H
#define DETNAT_UNSOLICITED_TCP_H

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include <detnat/unsolicited.h>

#include "datapath/datapath.h"

/* SYNs that may wait; of further ones, and of those sent again, nothing is kept. */
#define UNSOLICITED_WAITING 8192U

/* Answers in a second. */
#define UNSOLICITED_PER_SECOND 1000U

struct unsolicited;

/* Begins to take SYNs, until unsolicited_free(). The base and d must outlive the result. 0 or -errno with err. */
int unsolicited_new(struct event_base *base, const struct datapath *d, struct unsolicited **ret, struct error *err);

/* What still waits is forgotten. u may be NULL. */
void unsolicited_free(struct unsolicited *u);

/* ---- the answer (punt/unsolicited_tcp_answer.c)
 * --------------------------------------------------------------------------- */

#define UNSOLICITED_ANSWER_MAX (sizeof(struct iphdr) + sizeof(struct icmphdr) + UNSOLICITED_QUOTE_MAX)

/*
 * Writes the ICMP port unreachable (RFC 792) about a SYN, from an address (host byte order), as an IP packet of
 * UNSOLICITED_ANSWER_MAX octets at most. Identification and checksum of the IP header are left to the kernel. Its
 * length.
 */
size_t unsolicited_answer(const struct unsolicited_syn *s, uint32_t from, uint8_t packet[UNSOLICITED_ANSWER_MAX]);

#endif
