/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants in the mapping history: which subscriber had a block of the shared range of an outside address, and when
 * (RFC 7422 section 2.1). A grant is of one mapping of its subscriber, and ends with it at the latest.
 */
#ifndef DETNAT_HISTORY_GRANTS_H
#define DETNAT_HISTORY_GRANTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <detnat/mapping.h>

#include "base/address.h"
#include "history/history_spans.h"

/* As in a record: the ports from port_lo on, of all protocols. Addresses are in host byte order. */
struct history_grant {
	uint32_t in;
	uint32_t out;
	uint16_t port_lo;
	uint16_t ports;
	bool replicated; /* of a group that is to be recorded: another gateway began or ended it */
	int64_t from;
};

/* Grants of a list that are in one line. */
#define GRANTS_OF_LINE 256U

/* The subscriber had the block from <= t < to. */
struct grant_interval {
	HISTORY_SPAN;
	struct history_grant grant;
};

/* Zero-initialised. */
struct history_grants {
	struct grant_interval *interval; /* in the order of the lines that began them */
	size_t n;
	struct history_pauses pauses;
	struct hash_index open; /* numbers of the open ones, by outside address and first port */
};

/* Indexes the open ones among the intervals. 0 or -ENOMEM. */
int history_grants_index(struct history_grants *g);

void history_grants_free(struct history_grants *g);

/* Whether two are the same block of the same subscriber. */
bool history_grant_same(const struct history_grant *a, const struct history_grant *b);

/* Whether a block is of its subscriber's outside address, and of the shared range, in a mapping of this geometry. */
bool history_grant_fits(const struct geometry *geo, const struct history_grant *g);

/* The open interval of a block, by its outside address and first port, or NULL. */
struct grant_interval *history_grant_open(const struct history_grants *g, uint32_t out, uint16_t port_lo);

/*
 * Applies a record: the grant begins or ends. If another subscriber had the block, that ends at the beginning. begin:
 * the moment at which it began. 0 or -ENOMEM.
 */
int history_grants_take(struct history_grants *g, const struct history_grant *record, bool ends, uint32_t begin,
			struct history_at at);

/* Ends those of an ended mapping, or all. 0 or -ENOMEM. */
int history_grants_end_of(struct history_grants *g, struct prefix in, struct prefix out, struct history_at at);
void history_grants_end_all(struct history_grants *g, struct history_at at);

/* Undoes the effect of a line; false if the line is not about grants. *ret: 0 or -ENOMEM. */
bool history_grants_undo(struct history_grants *g, struct history_times *t, uint64_t line, struct history_at at,
			 int *ret);

/* The open ones, by outside address and port; the caller frees *ret. 0 or -ENOMEM. */
int history_grants_list(const struct history_grants *g, struct history_grant **ret, size_t *ret_n);

/* Writes "in":...,"out":...,"port_lo":...,"port_hi":...,"from":... of a record; reads them: false if malformed. */
void history_grant_write(FILE *out, const struct history_grant *g);
bool history_grant_read(const cJSON *json, struct history_grant *ret);

#endif
