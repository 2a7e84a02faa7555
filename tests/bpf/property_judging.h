/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the judge share: property_judge.c, property_judge_open.c, property_judge_reach.c. */
#ifndef DETNAT_TEST_PROPERTY_JUDGING_H
#define DETNAT_TEST_PROPERTY_JUDGING_H

#include "property.h"

/* What is being judged. */
struct judging {
	struct property *t;
	enum hook hook;
	const struct random_packet *p;
	const struct outcome *o;
};

void judging_fail(const struct judging *j, const char *what);

#define EXPECT(j, condition, what)             \
	do {                                   \
		if (!(condition))              \
			judging_fail(j, what); \
	} while (0)

bool at_tc(const struct judging *j);

/* Dropped for a reason, or where `type` is not 0 answered with an ICMP error as the limits allow. Opens nothing. */
void expect_drop(const struct judging *j, enum reason reason, uint8_t type, uint8_t code);

/* Translated as `c` says, and sent on. */
void expect_translated(const struct judging *j, enum reason reason, const struct change *c);

/* A closed session beyond the slots is given up at once. */
void session_from_inside(struct model *m, struct model_session *s, uint8_t flags);
void session_from_outside(struct model *m, struct model_session *s, uint8_t flags);

/* The session of a flow by the tables: *like has its outside port then. Whether there is one. */
bool port_in_tables(struct model_session *like);

/* Sessions that the packet opened from inside. */
unsigned opened_by_sender(const struct judging *j);

/*
 * The sender's session: found, opened, or refused, or its portmap. flow->out_port is what the packet left by. Whether
 * it did.
 */
bool judge_sender(const struct judging *j, struct model_session *flow, bool translated);

/* The port that a sender's packet leaves by without a session: its portmap's, or of an open mapping its own. */
bool stateless_port(const struct judging *j, const struct model_session *flow, uint16_t *ret);

/* From outside, or from another subscriber as `from` has it: to the portmap of the destination, or its binding. */
struct model_session outside_flow(const struct random_packet *p, uint32_t src, uint16_t sport, uint32_t in_addr);
enum arrival { ARRIVAL_NONE, ARRIVAL_TAKEN, ARRIVAL_REFUSED };
/* What becomes of a packet of no session to the port of a subscriber whose mapping lets anyone send; opens it. */
enum arrival judge_inbound(const struct judging *j, struct model_session *flow);

/* Whether a session stands in an extent, where sessions are as in slots. */
/* Whether a packet to a bound port opened nothing for want of a place. */
bool is_inbound_refusal(enum reason reason);

/* It is handed to the kernel as it came. */
void expect_untouched(const struct judging *j);

/* The rest of a hairpin's way. c: with what the sender has become. */
void judge_hairpin_receiver(const struct judging *j, struct change *c);

/* From a host that is not translated to a pool address: it reaches what a host outside reaches. */
void judge_routed(const struct judging *j);

/* To such a host, from a subscriber of a mapping: as it is, but for what that host has asked for. */
void judge_to_routed(const struct judging *j, const struct model_mapping *map);

#endif
