/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subscriber that has eight slots, and a block of 1008 ports: no flow lacks a port, and all but eight sessions are in
 * its extent, <detnat/extents.h>.
 */
#ifndef DETNAT_EXTENTS_FIXTURE_H
#define DETNAT_EXTENTS_FIXTURE_H

#include "base/findings.h"
#include "fixture.h"
#include "sessions/sessions.h"

#define IN	ADDR(10, 1, 0, 2)
#define OUT	ADDR(203, 0, 113, 200)
#define SLOTS	BUCKET_SLOTS
#define IN_PORT 7000

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* The subscriber's mapping, with this quota. */
void extents_mapping(uint32_t sessions);
void set_up_extents(void);

int extents_number(void);
struct subscriber *extents_record(void);

/* Buckets of the subscriber's extent. */
uint32_t extents_size(void);

/* The endpoints of a flow. */
uint16_t extents_port(unsigned flow);
uint16_t extents_ext(unsigned flow);
uint16_t extents_out_port(unsigned flow);

int extents_open_nth(uint8_t proto, unsigned flow, uint8_t flags);
void extents_open_those(uint8_t proto, unsigned first, unsigned end, uint8_t flags);

/* Opens flows until the extent is that large; their number. */
unsigned extents_open_until(uint32_t size);

/* Any flow of the subscriber with EXTERNAL; its packets have these TCP flags. */
struct extents_flow {
	uint8_t proto;
	uint8_t flags;
	uint16_t in_port, ext_port, out_port;
};

/* An answer to a flow whose session exists; its packets both ways. */
void extents_expect_answer_to(const struct extents_flow *f, enum hook in);
void extents_expect_both_ways(const struct extents_flow *f, enum hook out, enum hook in);

/* The same of the n-th flow. */
void extents_expect_answer(uint8_t proto, unsigned flow, uint8_t flags, enum hook in);
void extents_expect_passes(uint8_t proto, unsigned flow, uint8_t flags, enum hook out, enum hook in);

/* What a check of all tables finds. */
struct findings extents_findings(void);

/* The same of a check that repairs. */
struct findings extents_repair(void);
void extents_tables_right(void);

/* For visits of sessions: counts the subscriber's. */
int extents_keep(const struct session *s, void *arg);

/* A sweep; the sessions of the subscriber that it ended. */
unsigned extents_sweep(void);
void extents_reclaim_all(void);

#endif
