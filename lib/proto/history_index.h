/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a history says: which mapping held when. Fed with the lines of a file in order, by the agent and by detnatctl
 * alike; it needs neither agent nor machine.
 *
 * A line that was changed, or one that is missing, is noticed by the checksums. What mappings there were is then
 * unknown until the next record that lists them all (`start`, `daily`), but for what later lines say of earlier times:
 * each has the time since when its mapping was there.
 */
#ifndef DETNAT_HISTORY_INDEX_H
#define DETNAT_HISTORY_INDEX_H

#include "proto/history_record.h"

#define TIME_OPEN INT64_MAX

/* A mapping held from <= t < to. */
struct history_interval {
	struct prefix in;
	struct prefix out;
	int64_t from;
	int64_t to;	   /* TIME_OPEN: still */
	int64_t reached;   /* latest time seen while it held, where the clock was set back; else from */
	uint64_t line;	   /* number of the record that began it */
	uint64_t end_line; /* and of the one that ended it, 0: none */
	bool undone;
};

/* From <= t < to nothing is known but what intervals say. */
struct history_gap {
	int64_t from;
	int64_t to;  /* TIME_OPEN: still */
	bool damage; /* by lines that were changed or removed; else the datapath went away unseen */
};

struct history_damage {
	uint64_t line; /* number of the line in the file, from 1 */
	char text[160];
};

struct history_index {
	struct history_interval *intervals; /* in order of the lines that began them */
	size_t n_intervals;
	size_t *open; /* numbers of those that are open */
	size_t n_open;
	struct history_gap *gaps;
	size_t n_gaps;
	struct history_damage *damages;
	size_t n_damages;

	uint64_t lines;	      /* in the file */
	uint64_t number;      /* of the last of them, as it says itself */
	uint64_t settled;     /* of the last that is no change of a mapping */
	int64_t first_time;   /* earliest time of a record; TIME_OPEN: there is none */
	int64_t last_time;    /* of the last good record; TIME_NONE: there is none */
	int64_t listed_time;  /* of the last record that lists all mappings; TIME_NONE */
	bool lost;	      /* after damage: what is mapped is not known */
	char hash[HASH_TEXT]; /* of the last line */
};

void history_index_init(struct history_index *x);
void history_index_free(struct history_index *x);

/* Takes the next line, without its newline. Damage is noted, not returned: 0 or -ENOMEM. */
int history_index_feed(struct history_index *x, const char *line, size_t size);

/* Takes all complete lines of a text; in *ret_used (may be NULL) their octets, newlines included. */
int history_index_feed_all(struct history_index *x, const char *text, size_t size, size_t *ret_used);

/* The open interval of a mapping, or NULL. */
struct history_interval *history_index_find_open(const struct history_index *x, struct prefix in, struct prefix out);

#endif
