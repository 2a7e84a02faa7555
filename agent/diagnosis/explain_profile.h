/* SPDX-License-Identifier: BSD-2-Clause */
/* What the sessions of one subscriber add up to, for explain: by protocol, ports, the busiest destination. */
#ifndef DETNAT_EXPLAIN_PROFILE_H
#define DETNAT_EXPLAIN_PROFILE_H

#include "sessions/sessions.h"
#include "sessions/usage.h"

/* Limits the sessions kept of the requested endpoint; others are only counted. */
#define PROFILE_MATCHES 16U

#define PROFILE_WORDS (MAPPING_PORTS / 64U)

struct explain_profile {
	/* Set before the first session: the port to match. */
	uint16_t port;
	bool match_in;	   /* as inside port */
	bool match_out;	   /* as outside port */
	uint32_t out_addr; /* of the block; sessions that drain may have another */
	uint32_t port_lo;
	uint32_t ports_per_host;

	uint32_t sessions[N_USAGE_PROTOCOLS]; /* that count */
	uint32_t unanswered;		      /* of those of TCP: only the inside has sent a SYN */
	uint32_t time_wait;
	uint32_t expired; /* but not yet removed */
	uint64_t used[N_USAGE_PROTOCOLS][PROFILE_WORDS];
	uint32_t ports[N_USAGE_PROTOCOLS]; /* of the block that sessions use */

	uint64_t *destinations; /* of sessions that count */
	size_t n_destinations;
	size_t room;

	struct session match[PROFILE_MATCHES];
	uint32_t n_match; /* all that match */
};

/* An external endpoint and how many sessions there are with it. */
struct explain_destination {
	struct endpoint ext;
	enum usage_protocol proto;
	uint32_t sessions; /* 0: there is none */
};

/* Adds a session: 0, or -ENOMEM. */
int explain_profile_add(struct explain_profile *p, const struct session *s);

uint32_t explain_profile_sessions(const struct explain_profile *p);

/* Ports in use, in the protocol that uses most. */
uint32_t explain_profile_ports(const struct explain_profile *p);

/* The destination with most sessions; the order of destinations is lost. */
struct explain_destination explain_profile_busiest(struct explain_profile *p);

void explain_profile_free(struct explain_profile *p);

#endif
