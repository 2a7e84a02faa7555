/* SPDX-License-Identifier: BSD-2-Clause */
/* What people and programs ask about persons, as words of detnatctl; and that none sees another tenant's subscribers.
 */
#ifndef DETNAT_DESK_LOOKUPS_H
#define DETNAT_DESK_LOOKUPS_H

#include "call.h"
#include "params.h"

/* A question. Its values were checked; those that are NULL were not given. */
struct lookup {
	const char *value[N_PARAMS];
	bool list;    /* the body of the call is the question, or has a line for each */
	bool verdict; /* what the answers to such lines say together is told, too */
};

/*
 * Each returns a status of HTTP, with the answer in call->answer or a text in call->err. Of a caller who may see some
 * tenants alone, an answer about any other is 403.
 */
unsigned lookup_who(const struct lookup *l, struct call *call);
unsigned lookup_questions(const struct lookup *l, struct call *call);
unsigned lookup_evidence(const struct lookup *l, struct call *call);
unsigned lookup_customer(const struct lookup *l, struct call *call);

#endif
