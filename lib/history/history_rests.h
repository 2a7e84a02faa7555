/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings that have drained, by the history: their ports rest before other subscribers get them (RFC 6888 REQ-8). */
#ifndef DETNAT_HISTORY_RESTS_H
#define DETNAT_HISTORY_RESTS_H

#include "history/history_index.h"

struct history_rest {
	struct prefix in;
	struct prefix out;
	int64_t ended;
};

/*
 * Lists the mappings that ended after a time, having drained until then. still: when those that are draining by the
 * history have ended, or TIME_NONE if they go on. 0 or -ENOMEM; the caller frees *ret.
 */
int history_rests(const struct history_index *x, int64_t after, int64_t still, struct history_rest **ret,
		  size_t *ret_n);

#endif
