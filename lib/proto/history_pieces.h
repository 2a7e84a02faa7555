/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a mapping could have sessions of one of its inside addresses: not while an exception has the address, nor once
 * it is retired, but in both cases for as long as its sessions drain.
 */
#ifndef DETNAT_HISTORY_PIECES_H
#define DETNAT_HISTORY_PIECES_H

#include "proto/history_index.h"

/* An interval of a mapping. */
struct held {
	struct prefix in;
	struct prefix out;
	int64_t from;
	int64_t to;
	int64_t latest; /* latest end of this and the earlier ones of the same outside prefix */
	uint64_t line;
	bool open;
	char name[LABEL_TEXT];
};

/* Those that have the same inside addresses, and what drains. */
struct holdings {
	struct held *inner; /* all intervals, sorted by inside prefix */
	size_t n;
	uint64_t lengths;	      /* bit n: there is an inside prefix of length n */
	struct drain_interval *drain; /* sorted by mapping, then by time */
	size_t n_drains;
};

/* Part of an interval. */
struct piece {
	int64_t from;
	int64_t to;
	/* That ends it within the second asked for, or has the address since before it; or held_retired. */
	const struct held *exception;
};

/* Stands for the mapping's own end of use. */
extern const struct held held_retired;

/* Sorts `inner`, which the caller has filled, and takes the drains. 0 or -ENOMEM. */
int holdings_init(struct holdings *x, const struct history_drains *drains);
void holdings_free(struct holdings *x);

/*
 * The piece of an interval at time t, for an inside address. While another mapping has that and nothing drains, it is
 * the piece before if that ended within the second t, else an empty one: `to` is INT64_MIN.
 */
struct piece held_piece(const struct holdings *x, const struct held *h, uint32_t in_addr, int64_t t);

/* Orders prefixes by length, then by address. */
int prefix_order(struct prefix a, struct prefix b);

#endif
