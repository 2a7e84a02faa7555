/* SPDX-License-Identifier: BSD-2-Clause */
/* Who held an outside address and port at a time, from a history that was read. Pure; a microsecond a question. */
#ifndef DETNAT_HISTORY_WHO_H
#define DETNAT_HISTORY_WHO_H

#include "proto/history_index.h"

/* Answers in the order of how far they go. */
enum who_result {
	WHO_FOUND,
	WHO_NOBODY,    /* it is known that nobody held it */
	WHO_NO_RECORD, /* it is not known */
};

struct who_answer {
	uint32_t in_addr;
	struct prefix in;
	struct prefix out;
	int64_t from;
	int64_t to; /* TIME_OPEN: still */
	/* Another that held it within the same second, or by the clock before it was set back. */
	bool ambiguous;
	uint32_t other_addr;
	struct prefix other_in;
	struct prefix other_out;
	int64_t other_from;
	int64_t other_to;
};

struct who;

/* Prepares the answers; the index may be freed afterwards. -ENOMEM. */
int who_new(const struct history_index *x, struct who **ret);
void who_free(struct who *w);

/*
 * Who held port `port` of the outside address at time t. *ret is written for WHO_FOUND, but for its `ambiguous` and
 * what comes after it, which is written in any case; else why says why there is no answer.
 */
enum who_result who_ask(const struct who *w, struct endpoint out, int64_t t, struct who_answer *ret, struct error *why);

#endif
