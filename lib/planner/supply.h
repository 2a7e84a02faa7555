/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the shared ranges of outside addresses have the blocks that replayed subscribers grow by. Each subscriber is
 * replayed by himself, as if there were always a block left; which of his grants there were is found afterwards, for
 * those who share an address.
 */
#ifndef DETNAT_SUPPLY_H
#define DETNAT_SUPPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/growth.h>

/* A block that a subscriber asked for, and the sessions that he opened on it. */
struct supply_grant {
	int64_t from_ms, to_ms;
	size_t opened; /* the first one's place in the list of openings */
	uint32_t n_opened;
	uint32_t subscriber; /* his number, in the order of the replay */
	bool refused;	     /* he was refused sessions before */
};

/* Zero-initialised. */
struct supply {
	struct supply_grant *grant;
	size_t n;
	size_t room;
	int64_t *opened_ms;
	size_t n_opened;
	size_t room_opened;
	uint32_t subscribers; /* replayed */
	/* Of the subscriber: his grants from here on, and openings on those that have not ended. */
	size_t first;
	struct supply_open {
		int64_t *ms;
		uint32_t n, room;
	} open[GROWTH_MAX_BLOCKS];
	bool failed; /* out of memory */
};

struct supply_result {
	uint64_t grants;
	uint64_t denied;	      /* of them: no block was left when it was asked for */
	uint64_t subscribers;	      /* who got at least one */
	uint64_t sessions_refused;    /* opened where no block was left */
	uint64_t subscribers_refused; /* by that alone */
	uint32_t peak;		      /* the most blocks of an address in use or at rest at once */
};

void supply_free(struct supply *s);

/* A session was opened on a grant, by its number; the grant has ended; and so has the subscriber's traffic. */
void supply_opened(struct supply *s, uint32_t number, int64_t ms);
void supply_granted(struct supply *s, uint32_t number, int64_t from_ms, int64_t to_ms);
void supply_next(struct supply *s, bool refused);

/*
 * Finds out what addresses with so many blocks give, each to so many subscribers in the order of the replay. First
 * come, first served; who finds none left gets one when it comes free, if he still needs it then. 0 or -ENOMEM.
 */
int supply_judge(struct supply *s, uint32_t subscribers_per_address, uint32_t blocks, int64_t rest_ms,
		 struct supply_result *ret);

#endif
