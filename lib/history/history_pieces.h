/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The times at which a mapping could have sessions of one of its inside addresses: not while an exception has the
 * address, nor once it is retired, but in both cases as long as its sessions drain.
 */
#ifndef DETNAT_HISTORY_PIECES_H
#define DETNAT_HISTORY_PIECES_H

#include "history/history_index.h"

/* An interval of a mapping. */
struct held {
	struct prefix in;
	struct prefix out;
	uint32_t begin;
	uint32_t end;	/* MOMENT_NONE: none */
	uint32_t reach; /* that of the last end of this and the earlier ones of the same outside prefix */
	size_t number;	/* of the interval */
	bool open;
	struct plan_blocks blocks;
	char name[LABEL_TEXT];
	char tenant[LABEL_TEXT];
};

struct held_drain {
	struct drain_interval v;
	size_t number;
};

/* Intervals with the same inside addresses, and drains. */
struct holdings {
	struct history_times times;
	struct held *inner; /* all intervals, sorted by inside prefix */
	size_t n;
	size_t first_range;	  /* those from here on have inside ranges that are no prefixes */
	uint64_t lengths;	  /* bit n: there is an inside prefix of length n */
	struct held_drain *drain; /* sorted by mapping, then by time */
	size_t n_drains;
	struct history_pauses pauses; /* of the intervals */
	struct history_pauses drain_pauses;
};

/* Part of an interval, from one moment to another. */
struct piece {
	uint32_t begin;
	uint32_t end;
};

/* Zero-initialised; used again for each question. */
struct pieces {
	struct piece *piece;
	size_t n;
	size_t room;
	struct piece_change *change;
	size_t n_changes;
	size_t changes_room;
	bool *drained; /* of each drain: there may have been sessions */
};

/* Sorts `inner`, which the caller has filled, and gets the rest from the index. 0 or -ENOMEM. */
int holdings_init(struct holdings *x, const struct history_index *index);
void holdings_free(struct holdings *x);

/* Lists the pieces of an interval for an inside address, in order of time. 0 or -ENOMEM. */
int held_pieces(const struct holdings *x, const struct held *h, uint32_t in_addr, struct pieces *ret);
void pieces_free(struct pieces *p);

/*
 * The exception that had an inside address of an interval in second s of a reckoning; NULL: none, as the mapping was
 * retired.
 */
const struct held *held_exception(const struct holdings *x, const struct held *h, uint32_t in_addr, uint32_t epoch,
				  int64_t s);

/* Orders prefixes by length, then by address; ranges that are none come last. */
int prefix_order(struct prefix a, struct prefix b);

/* The place of the first one of n sorted intervals whose inside (or outside) addresses are no prefix. */
size_t first_range_of(const struct held *held, size_t n, bool outside);

#endif
