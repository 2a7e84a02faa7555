/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameters of /api/v1, checked before they become words of detnatctl. Pure. */
#ifndef DETNAT_DESK_PARAMS_H
#define DETNAT_DESK_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define PARAM_ROOM 1025U

enum param {
	PARAM_ENDPOINT,
	PARAM_AT,
	PARAM_MARGIN,
	PARAM_LIMIT,
	PARAM_OFFSET,
	PARAM_ZONE,
	PARAM_CUSTOMER,
	PARAM_FROM,
	PARAM_TO,
	PARAM_CASE,
	PARAM_REASON,
	PARAM_VERDICT,
	N_PARAMS
};

/* Of which a route takes a set. */
#define P(name) (1U << PARAM_##name)

struct params {
	char value[N_PARAMS][PARAM_ROOM];
	unsigned given; /* a bit for each */
};

/*
 * Adds a parameter of a request that takes those in `takes`; the value may have any octets. 0, or -EINVAL with err: it
 * is unknown, there twice, or malformed.
 */
int params_add(struct params *p, unsigned takes, const char *key, const char *value, size_t size, struct error *err);

/* Whether all that are needed are there: 0, or -EINVAL with err. */
int params_complete(const struct params *p, unsigned needs, struct error *err);

/* The value, or NULL if it was not given. */
static inline const char *param(const struct params *p, enum param which)
{
	return p->given & 1U << which ? p->value[which] : NULL;
}

const char *param_name(enum param which);

#endif
