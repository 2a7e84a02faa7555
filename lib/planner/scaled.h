/* SPDX-License-Identifier: BSD-2-Clause */
/* A subscriber's flows multiplied by a factor: copies have other inside ports, and the same times and external
 * endpoints. */
#ifndef DETNAT_SCALED_H
#define DETNAT_SCALED_H

#include "planner/collection.h"

struct scaled {
	double factor;
	struct plan_flow *flow;
	size_t room;
};
void scaled_free(struct scaled *s);

/* Replaces flows by multiplied ones, which are valid until the next call. 0 or -ENOMEM. */
int scaled_take(struct scaled *s, struct plan_flow **flow, size_t *n);

#endif
