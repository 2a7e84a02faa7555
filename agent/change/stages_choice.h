/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chooses between one stage and two, see <detnat/stages.h>. Two cost a little for each packet, and gain where the slots
 * outgrow the processor's caches, so that sessions are read from memory.
 */
#ifndef DETNAT_STAGES_CHOICE_H
#define DETNAT_STAGES_CHOICE_H

#include "change/change.h"

/* Octets of slots from which two stages pay; docs/evidence/END-TO-END.md shows what both cost on either side of it. */
#define STAGES_PAY (16ULL << 20)

/* The facts on which the choice depends. */
struct stages_facts {
	uint8_t wanted; /* from the configuration */
	uint64_t slots; /* octets, of all mappings */
	bool redirect;
	const char *obstacle;	 /* to two stages, or empty */
	const char *outside_one; /* why packets from outside have one stage anyway, or NULL */
};

void stages_choose(const struct stages_facts *f, struct stages_choice *ret);

/*
 * The choice for a configuration on the machine as it is. slots: octets, of all its mappings. settings: all except
 * `stages`, which follows from the result.
 */
void stages_choose_now(const struct parts *context, const struct config *c, uint64_t slots,
		       const struct settings *settings, struct stages_choice *ret);

/* Logs a choice that has taken effect if it differs from the one before. */
void stages_tell(const struct stages_choice *before, const struct stages_choice *now);

#endif
