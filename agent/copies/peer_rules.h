/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What gateways must have alike for a takeover, as they show it to each other: mappings and exceptions with all that
 * decides what becomes of packets, and the portmaps of the configuration. Lists of records as they are on the wire,
 * sorted by their key, which is their first octets.
 */
#ifndef DETNAT_PEER_RULES_H
#define DETNAT_PEER_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "copies/copying.h"
#include "copies/wire.h"

enum rule_kind { RULE_MAPPING, RULE_PORTMAP, N_RULE_KINDS };

struct rule_list {
	uint8_t *record;
	uint32_t n;
};

struct rules {
	struct rule_list list[N_RULE_KINDS];
};

void rules_free(struct rules *r);

/* Those of this gateway; portmaps may be NULL. 0 or -ENOMEM. */
struct portmaps;
int rules_here(const struct mappings *m, const struct portmaps *portmaps, struct rules *ret);

bool rules_equal(const struct rules *a, const struct rules *b);

/* Of all that has to be alike. */
uint64_t rules_digest(const struct rules *r);

/* Octets of a record of a kind, and of its key. */
size_t rule_size(enum rule_kind kind);

/* The most records that a gateway can have. */
uint32_t rules_max(enum rule_kind kind);

/* Sorts records that were received. */
void rule_list_sort(struct rule_list *l, enum rule_kind kind);

/*
 * Compares what there is here with what a peer has shown, and counts. others: what `n_others` further gateways have
 * shown, if mappings are spread over the gateways, else NULL: what is missing there is no fault if one of these has it,
 * and what is missing here is the concern of the gateways that have it.
 */
void rules_compare(const struct rules *here, const struct rules *there, const struct rules *const *others,
		   unsigned n_others, struct copying_differences *ret);

#endif
