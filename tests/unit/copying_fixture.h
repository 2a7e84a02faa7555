/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways with tables of their own, whose copies of sessions pass between them without sockets. */
#ifndef DETNAT_TEST_COPYING_FIXTURE_H
#define DETNAT_TEST_COPYING_FIXTURE_H

#include <criterion/criterion.h>

#include "base/findings.h"
#include "copies/copying_private.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

/* 10.0.0.0/24 to 203.0.113.0/28, 4032 ports and 32 slots for each, and extents of this many buckets together. */
#define GATEWAY_EXTENTS 2048U

struct gateway {
	struct datapath d;
	struct mappings *m;
	int number;
	struct copying *c;
	struct copy_program opener; /* opens sessions of its own, as the datapath does */
	struct copying_counts counts;
	unsigned passes;
	bool wants_whole; /* a table that it has heard says that the other one needs a whole copy */
};

/* Set before gateway_make(), or the default. */
extern struct mapping_spec copying_spec;
struct mapping_spec copying_default_spec(void);

/*
 * The clocks of gateways that are made from now on stand still at a tick, from 0 to 2^25 - 1 or in the last 2^25 before
 * the wrap. A gateway's clock can be set to later ones, which its programs do not follow: to them nothing expires.
 */
void clocks_begin_at(uint32_t tick);
void clock_set(struct gateway *g, uint32_t tick);

void gateway_make(struct gateway *g, const char *state_file);
void gateway_free(struct gateway *g);

/* A session of the gateway's own: an enum copy_result. */
int open_own(struct gateway *g, uint32_t subscriber, uint64_t key, uint16_t out_port, uint8_t proto, uint8_t state,
	     uint16_t slot);

/* The same for a flow to 198.51.100.N, on its first choices; the slot that it has. */
uint32_t open_flow(struct gateway *g, uint32_t subscriber, uint16_t in_port, uint8_t n, uint8_t proto, uint8_t state);

struct slot *slot_at(struct gateway *g, uint32_t subscriber, uint32_t slot);
uint32_t first_slot(const struct gateway *g, uint64_t key, uint8_t proto);
uint16_t first_port(const struct gateway *g, uint32_t subscriber, uint16_t in_port);

/* Ends a session as a packet or the sweep does. */
void end_session(struct gateway *g, uint32_t subscriber, uint32_t slot);

/* A packet from inside at this tick. */
void touch(struct gateway *g, uint32_t subscriber, uint32_t slot, uint32_t tick);

/* What is emitted, kept to be looked at and applied. */
struct told {
	struct {
		unsigned type;
		size_t length;
		uint8_t *data;
	} payload[6144];
	unsigned n;
	unsigned refuse; /* that many calls with -ENOBUFS */
	unsigned room;	 /* after that many payloads, -ENOBUFS; 0: no limit */
};
void told_free(struct told *t);
int keep(unsigned type, const void *payload, size_t length, void *arg);

/* A whole pass. */
void pass(struct gateway *g, struct told *ret);
/* As many as it takes for what is new to be told. */
void passes(struct gateway *g, struct told *ret);
void whole(struct gateway *g, struct told *ret);

/* Has a gateway apply what another, its peer of this number, has told; frees it. */
void hear(struct gateway *g, unsigned peer, struct told *t);

/* Of equal claims those of `other` win. */
void set_orders(struct gateway *one, struct gateway *other);

/* Connects: orders, a pass, then a whole copy in both directions. */
void connect_gateways(struct gateway *one, struct gateway *other);

/* Passes of both, until all is told and applied. */
void exchange(struct gateway *one, struct gateway *other);

/* Each has applied what the other has told. */
void acknowledge(struct gateway *one, struct gateway *other);

/* Goes on refreshing copies until nothing is due. */
void vouch(struct gateway *g, uint8_t peers_up);

/* Sessions of a subscriber that count; what `check` finds. */
uint32_t sessions_in(struct gateway *g, uint32_t subscriber);
void assert_sound(struct gateway *g);

/* The two of most tests. Whether they are sound is asked at the end of a test, as Criterion does not count what fails
 * after it. */
extern struct gateway a, b;
void pair_make(void);
void pair_connect(void); /* makes them, too */
void pair_free(void);
/* The same, with `b` in `pair_file`, in a directory of its own, which must have no other files when they are freed. */
extern char pair_file[64];
void pair_make_kept(void);
void pair_free_kept(void);
void pair_sound(void);

#endif
