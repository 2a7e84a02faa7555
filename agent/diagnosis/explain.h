/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The facts of an explanation about an address, and its findings: everything that causes drops, or could surprise, with
 * advice.
 */
#ifndef DETNAT_EXPLAIN_H
#define DETNAT_EXPLAIN_H

#include <cjson/cJSON.h>

#include "base/inside_runs.h"
#include "config/active.h"
#include "config/parts.h"
#include "routing/route_lookup.h"
#include "sessions/sessions.h"
#include "sessions/usage.h"

/* The sum of one subscriber's sessions, for explain: by protocol, ports, the busiest destination. */

/* Maximum of kept sessions of the requested endpoint; others are only counted. */
#define PROFILE_MATCHES 16U

#define PROFILE_WORDS (65536U / 64U)

struct explain_profile {
	/* Set before the first session: the port to match. */
	uint16_t port;
	bool match_in;	      /* as inside port */
	bool match_out;	      /* as outside port */
	struct address6 host; /* whose port that is, of an IPv6 subscriber; ::: any */
	uint32_t out_addr;    /* of the block; sessions that drain may have another */
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

	struct address6 last; /* of an IPv6 subscriber: the host of the last session that counts */
	struct session match[PROFILE_MATCHES];
	uint32_t n_match; /* all that match */
};

/* An external endpoint and the number of sessions with it. */
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

enum explain_side { EXPLAIN_NONE, EXPLAIN_INSIDE = DEVICE_INSIDE, EXPLAIN_OUTSIDE = DEVICE_OUTSIDE };

struct explanation {
	const struct parts *context;
	struct endpoint asked;
	struct address6 host; /* that was asked for, of the IPv6 subscriber `asked`; :: if the prefix was, or none */
	bool with_port;
	enum explain_side side;
	uint8_t tenant;		       /* whose mapping it is, or who was asked for; 0: none */
	const struct mapping *mapping; /* NULL: none */
	int number;		       /* of the mapping, which may be retired */
	bool kept;		       /* in_addr, whose port was requested, has another mapping */
	bool subscriber;	       /* there is one: the members from in_addr on belong to it */
	uint32_t in_addr;
	struct port_block block;
	struct explain_profile profile;
	struct explain_destination busiest;
	struct subscriber_record record;
	/* If an outside address was given without a port: its subscribers, from first to last address. */
	uint32_t pool_first;
	uint32_t pool_last;
	uint32_t pool_stride; /* from one of them to the next; 0: the address has no subscribers */
	struct pool_figures pool;
	struct kernel_way way_in;
	struct kernel_way way_out;  /* addr 0: no route to look up */
	bool copied_in, copied_out; /* the datapath takes the next hop from its copy of the routes */
};

/* What was asked for: the address, of an IPv6 subscriber the host or the prefix; and the same with the port. */
#define PLACE_TEXT (INSIDE_TEXT + 8)
const char *explain_asked_addr(const struct explanation *e, char text[static INSIDE_TEXT]);
const char *explain_asked(const struct explanation *e, char text[static PLACE_TEXT]);

/* Whether it is about an IPv6 subscriber, or the mapping of such. */
static inline bool explain_is_ipv6(const struct explanation *e)
{
	return e->mapping && mapping_is_ipv6(e->mapping);
}

/* The place of its subscriber. */
static inline uint64_t explain_place(const struct explanation *e)
{
	return inside_place(e->tenant, e->in_addr);
}

/*
 * Writes "kept for ADDR, which NAME maps to ADDR" if the question is about the block of an inside address in mapping
 * `number`, but the address has another mapping and does not drain from this one; returns whether that is so. number: a
 * mapping of the tables.
 */
#define KEPT_TEXT (2 * INSIDE_TEXT + MAPPING_TITLE + 64)
bool explain_kept(const struct parts *a, int number, uint32_t in_addr, char text[static KEPT_TEXT]);

/* Writes why a port of an outside address has no subscriber, and returns the text. */
#define NO_BLOCK_TEXT 128
const char *explain_no_block(const struct geometry *g, struct endpoint out, char text[static NO_BLOCK_TEXT]);

/* Whether a port of an outside address is of the shared range of mapping `number`, from which blocks are granted. */
bool explain_is_shared(const struct parts *a, int number, struct endpoint out);

/* The same for such a port that no subscriber has been granted. */
const char *explain_not_granted(const struct parts *a, struct endpoint out, char text[static NO_BLOCK_TEXT]);

/* The array of findings; NULL: out of memory. */
cJSON *explain_findings(const struct explanation *e);

/* Gathers what an explanation needs, in slices: sessions, record, routes. */

struct explain_gather;

/*
 * tenant: among whose inside addresses it is searched for; 0: there are no tenants. host: of an IPv6 subscriber; NULL:
 * none. port: the endpoint's, if with_port. 0 or -errno.
 */
int explain_gather_new(const struct parts *a, uint8_t tenant, struct endpoint asked, const struct address6 *host,
		       bool with_port, struct explain_gather **ret);

/*
 * Continues for about budget_us microseconds: 1 more to do, 0 done, -ENOENT if the mapping has gone meanwhile, -errno.
 */
int explain_gather_step(struct explain_gather *g, unsigned budget_us);

/* When it is done, until explain_gather_free(). */
const struct explanation *explain_gather_result(const struct explain_gather *g);

void explain_gather_free(struct explain_gather *g); /* NULL is allowed */

#endif
