/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer to a PCP request (RFC 6887): a grant, or a refusal and its reason. It knows no sockets. */
#ifndef DETNAT_PCP_DECIDE_H
#define DETNAT_PCP_DECIDE_H

#include "config/config.h"
#include "pcp/lease_table.h"

/* Knowledge about the sender of a request. */
enum pcp_source {
	PCP_SOURCE_TAKEN,   /* the subscriber that it names, as far as is known */
	PCP_SOURCE_UNKNOWN, /* not yet known */
	PCP_SOURCE_FORGED,  /* another host */
};

struct pcp_desk {
	const struct config_pcp *rules;
	const struct pcp_table *table;
	void *arg; /* of the functions of the table */
	/* Called once before a lease is made; NULL: every source is accepted. */
	enum pcp_source (*source)(void *arg);
	void *source_arg;
};

/* The outcome of a request, for counters. */
struct pcp_outcome {
	uint8_t opcode; /* as received */
	enum pcp_result result;
	enum pcp_source source; /* other than PCP_SOURCE_TAKEN: no answer, for this reason */
};

/*
 * Carries out a request from an address and writes the response to out. Returns its length, or 0 if there is none: the
 * source is not a served subscriber, or not the sender, or the request is invalid. epoch: for the response; now_s:
 * CLOCK_BOOTTIME.
 */
size_t pcp_answer(const struct pcp_desk *d, const uint8_t *data, size_t size, uint32_t source, uint32_t epoch,
		  uint64_t now_s, uint8_t out[static PCP_MAX_MESSAGE], struct pcp_outcome *ret_outcome);

/* Whether a source gets answers at all: it is a served subscriber, or may act for others. */
bool pcp_is_client(const struct pcp_desk *d, uint32_t source);

#endif
