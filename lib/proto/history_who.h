/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds which subscriber held an outside address and port at a time, in a history that was read. Pure; takes about a
 * microsecond per question.
 */
#ifndef DETNAT_HISTORY_WHO_H
#define DETNAT_HISTORY_WHO_H

#include "proto/history_index.h"

/* Results, the most definite first. */
enum who_result {
	WHO_FOUND,
	WHO_NOBODY,    /* known: no subscriber held it */
	WHO_NO_RECORD, /* not known */
};

struct who_answer {
	uint32_t in_addr;
	struct prefix in;
	struct prefix out;
	int64_t from;
	int64_t to;	       /* TIME_OPEN: still */
	char name[LABEL_TEXT]; /* of the mapping, the last that it had; "": none */
	/* The portmaps of the endpoint then, that of TCP first. Without a block, from and to are those of the first. */
	struct portmap_interval portmap[2];
	unsigned n_portmaps;
	/* Another subscriber held it within the same second, or by the clock before it was set back. */
	bool ambiguous;
	uint32_t other_addr;
	struct prefix other_in;
	struct prefix other_out;
	int64_t other_from;
	int64_t other_to;
	char other_name[LABEL_TEXT];
};

struct who;

/* Prepares for questions; the index may be freed afterwards. Returns 0 or -ENOMEM. */
int who_new(const struct history_index *x, struct who **ret);
void who_free(struct who *w);

/*
 * Finds which subscriber held the port of the outside address at time t. *ret is written if the result is WHO_FOUND;
 * `ambiguous` and the members after it are always written. Otherwise `why` says why there is no answer.
 */
enum who_result who_ask(const struct who *w, struct endpoint out, int64_t t, struct who_answer *ret, struct error *why);

#endif
