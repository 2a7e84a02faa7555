/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pool addresses under attack: reads how many packets of strangers the datapath has dropped for each, twice a second,
 * tells where they exceed `attack.packets_per_second`, and runs `attack.exec` once for each attack. All of it is off
 * without `attack`. Nothing is kept: an agent that starts knows of no attack.
 */
#ifndef DETNAT_ATTACKS_H
#define DETNAT_ATTACKS_H

#include <event2/event.h>

#include "config/config.h"
#include "tables/mappings.h"

/*
 * Between two looks, microseconds. An attack is told of by the second look after it began at the latest: the first one
 * may have seen a part of the time alone.
 */
#define ATTACK_LOOK_US 500000

struct attacks;

/* The mappings must outlive the result. 0 or -ENOMEM. */
int attacks_new(struct event_base *base, const struct mappings *m, struct attacks **ret);

/* Ends programs that `exec` has started. NULL is allowed. */
void attacks_free(struct attacks *a);

/*
 * Applies `attack` of the configuration now in force, once programs that count are in place. Attacks that are known go
 * on by the new figures.
 */
void attacks_configure(struct attacks *a, const struct config_attack *c);

/*
 * Packets of strangers a second to an outside address of a mapping, as of the last half second; false: they are not
 * counted. *ret_attacked: whether an attack on the address is known. number: of the mapping in the tables.
 */
bool attacks_rate(const struct attacks *a, int number, uint32_t addr, uint64_t *ret_rate, bool *ret_attacked);

struct attack_figures {
	bool enabled;
	uint64_t attacks;    /* begun so far */
	uint64_t attacked;   /* addresses now */
	uint64_t rate;	     /* packets a second of strangers to these */
	uint64_t runs;	     /* of `exec` */
	uint64_t failed;     /* of these */
	uint64_t unfollowed; /* addresses above the threshold now that are too many to follow */
};

struct attack_figures attacks_figures(const struct attacks *a);

#endif
