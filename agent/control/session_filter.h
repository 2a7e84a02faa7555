/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sessions a request means: all that is given must fit. */
#ifndef DETNAT_SESSION_FILTER_H
#define DETNAT_SESSION_FILTER_H

#include "control/request.h"
#include "sessions/sessions.h"

/* Arguments of the request that are not given, or NULL, fit all. */
struct session_filter {
	const struct arg_value *in;    /* prefix */
	const struct arg_value *ext;   /* prefix, perhaps with a port */
	const struct arg_value *out;   /* endpoint, perhaps with a port */
	const struct arg_value *state; /* text */
	uint32_t older;		       /* seconds without a packet from inside */
	uint8_t proto;		       /* 0: all */
	bool all;		       /* those that count in no figure, too */
	const uint32_t *timeouts;      /* seconds, of the configuration */
};

bool session_fits(const struct session_filter *f, const struct session *s);

/* Refuses an inside address that no mapping has. Returns ret. */
int refuse_inside(uint32_t addr, int ret, struct error *err);

#endif
