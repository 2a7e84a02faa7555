/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `detnatctl plan`. */
#ifndef DETNATCTL_PLAN_OPTIONS_H
#define DETNATCTL_PLAN_OPTIONS_H

#include <cjson/cJSON.h>

#include "planner/planner.h"

struct plan_options {
	struct planner_settings settings;
	struct address_range *in, *out; /* sorted and disjoint */
	size_t n_in, n_out;
	uint32_t subscribers; /* 0: as many as have traffic */
	double target;	      /* share of sessions; negative: none */
	const cJSON *traffic; /* array of paths, or NULL */
	const char *plot;     /* or NULL */
};

/* Reads the arguments, which the options refer to. 0, or -EINVAL or -ENOMEM with err; the caller frees them. */
int plan_options_read(const cJSON *args, struct plan_options *ret, struct error *err);
void plan_options_free(struct plan_options *o);

/* Addresses in ranges. */
uint64_t range_addresses(const struct address_range *range, size_t n);

#endif
