/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state recorded in a history: which mapping held when. Fed with the lines of a file in order, by both the agent
 * and detnatctl; depends on neither the agent nor the machine.
 *
 * The checksums reveal changed and missing lines. The mappings are then unknown until the next record that lists them
 * all (`start`, `daily`), except as far as later lines cover earlier times: each contains the time since when its
 * mapping existed.
 */
#ifndef DETNAT_HISTORY_INDEX_H
#define DETNAT_HISTORY_INDEX_H

#include "history/history_clocks.h"
#include "history/history_gaps.h"
#include "history/history_record.h"

struct history_damage {
	uint64_t line; /* line number in the file, from 1 */
	char text[160];
};

struct grant_days;

struct history_index {
	struct grant_days
		*days; /* of the directory, whose it is; NULL: it is not known who had grants that are in them */
	union {
		struct {
#define X(constant, fact, interval, one, many) struct history_##many many;
			FACTS(X)
#undef X
		};
		struct history_facts facts[FACT_KINDS];
	};
	struct history_times times;
	struct history_gaps gaps;
	struct history_clocks clocks;
	struct history_damage *damages;
	size_t n_damages;
	struct history_grant *listed; /* grants of a list whose last line is still to come */
	size_t n_listed;
	uint64_t listed_parts; /* their lines */

	uint64_t lines;		    /* number of lines in the file */
	uint64_t number;	    /* number of the last line, as the line itself says */
	uint64_t settled;	    /* number of the last record that is not a change */
	uint64_t change_end;	    /* number of the last record of a change */
	uint64_t last_change;	    /* number of the first record of the last change: records of the same time */
	bool in_change;		    /* the last record is one of a change, */
	uint32_t moment;	    /* of this moment */
	int64_t first_time;	    /* earliest time of a record; TIME_OPEN: no records */
	int64_t last_time;	    /* time of the last good record; TIME_NONE: none */
	int64_t listed_time;	    /* time of the last record that lists all mappings; TIME_NONE: none */
	bool replicated;	    /* other gateways grant blocks, too: what is not recorded here is not known */
	bool lost;		    /* after damage: the current mappings are unknown */
	bool evidence;		    /* the file is evidence, whose other lines may be withheld */
	uint32_t missed;	    /* the last day whose file lacks a line, which is noted once a day */
	uint64_t withheld;	    /* lines that are; it tells about one question then */
	char hash[HASH_TEXT];	    /* hash of the last line */
	char gateway[GATEWAY_TEXT]; /* by the last start that has it; "": none has */
};

void history_index_init(struct history_index *x);
void history_index_free(struct history_index *x);

/*
 * Takes the next line, without its newline. Damage is noted, not returned. What is withheld in evidence said nothing
 * of what the lines that are there say. Returns 0 or -ENOMEM.
 */
int history_index_feed(struct history_index *x, const char *line, size_t size);

/* Takes all complete lines of a text; *ret_used (ret_used may be NULL) is their size, newlines included. */
int history_index_feed_all(struct history_index *x, const char *text, size_t size, size_t *ret_used);

/* After the last line: nothing is known from a time on, as later changes were not recorded. 0 or -ENOMEM. */
int history_index_lose(struct history_index *x, int64_t since);

/* Indexes the open facts anew. 0 or -ENOMEM. */
int history_index_open(struct history_index *x);

/* Whether any fact is open. */
bool history_index_holds_any(const struct history_index *x);

/* Whether nothing is known from it, not even that something is missing. */
static inline bool history_index_empty(const struct history_index *x)
{
	return x->first_time == TIME_OPEN && !x->n_damages;
}

/* Whether recorded changes are neither confirmed nor undone: the numbers of their first and last record. */
bool history_index_waits(const struct history_index *x, uint64_t *ret_first, uint64_t *ret_last);

/*
 * Mappings that have drained, according to the history: their ports rest before other subscribers get them (RFC 6888
 * REQ-8).
 */

struct history_rest {
	struct prefix in;
	struct prefix out;
	char tenant[LABEL_TEXT]; /* "": none, or not known */
	struct plan_blocks blocks;
	int64_t ended;
};

/*
 * Lists the mappings that ended after a time, having drained until then. still: the end of those that the history has
 * as draining, or TIME_NONE if they continue. 0 or -ENOMEM; the caller frees *ret.
 */
int history_rests(const struct history_index *x, int64_t after, int64_t still, struct history_rest **ret,
		  size_t *ret_n);

#endif
