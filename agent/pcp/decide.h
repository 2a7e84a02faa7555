/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer to a PCP request (RFC 6887): what is granted, what is refused and why. It knows no sockets. */
#ifndef DETNAT_PCP_DECIDE_H
#define DETNAT_PCP_DECIDE_H

#include "config/config.h"
#include "pcp/lease_table.h"

/* What is known of who sends a request. */
enum pcp_source {
	PCP_SOURCE_TAKEN,   /* the subscriber that it names, as far as can be told */
	PCP_SOURCE_UNKNOWN, /* not known yet */
	PCP_SOURCE_FORGED,  /* another host */
};

struct pcp_desk {
	const struct config_pcp *rules;
	const struct pcp_table *table;
	void *arg; /* of the functions of the table */
	/* Asked once before a lease is made; NULL: each source is taken. */
	enum pcp_source (*source)(void *arg);
	void *source_arg;
};

/* How a request ended, for counters. */
struct pcp_outcome {
	uint8_t opcode; /* as it came */
	enum pcp_result result;
	enum pcp_source source; /* other than PCP_SOURCE_TAKEN: there is no answer for this reason */
};

/*
 * Carries out a request from an address and writes the response to out. Returns its length, or 0 if there is none: the
 * source is no subscriber that is served, or is not who sends it, or the request is not one. epoch: of the response;
 * now_s: CLOCK_BOOTTIME.
 */
size_t pcp_answer(const struct pcp_desk *d, const uint8_t *data, size_t size, uint32_t source, uint32_t epoch,
		  uint64_t now_s, uint8_t out[static PCP_MAX_MESSAGE], struct pcp_outcome *ret_outcome);

/* Whether a source is answered at all: it is a subscriber that is served, or may act for others. */
bool pcp_is_client(const struct pcp_desk *d, uint32_t source);

#endif
