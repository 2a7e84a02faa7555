/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds who may have held an outside address and port in a second, in a history that was read. Pure; takes some
 * microseconds per question.
 */
#ifndef DETNAT_HISTORY_WHO_H
#define DETNAT_HISTORY_WHO_H

#include "history/history_index.h"

/* Results, the most definite first. */
enum who_result {
	WHO_FOUND,
	WHO_NOBODY,    /* known: no subscriber held it at the end of that second */
	WHO_NO_RECORD, /* unknown */
};

/* An actual or possible holder. */
struct who_holder {
	uint32_t in_addr;
	struct prefix in;
	struct prefix out;
	int64_t from;		 /* in no earlier second */
	int64_t to;		 /* in no later one; TIME_OPEN: still */
	char name[LABEL_TEXT];	 /* of the mapping, its last one; "": none */
	char tenant[LABEL_TEXT]; /* whose subscriber it is; "": there was none, or it is not known */
	/* For the search: the moment at which it began, the reckoning of the clock, and the preference. */
	uint32_t begin;
	uint32_t epoch;
	enum { BY_UDP_PORTMAP, BY_TCP_PORTMAP, BY_GRANT, BY_BLOCK } by;
	uint16_t port_lo; /* of BY_GRANT: the granted block, which has this many ports; otherwise 0 */
	uint16_t ports;
	bool holds;	/* recorded to have held it by the end of the second */
	uint8_t protos; /* bits of the protocols for which it may have held it: 0: TCP, 1: UDP */
	bool also;	/* it may have held it in a way that the answer and its portmaps do not show */
};

/* Whether two holders are one subscriber: tenants may have the same inside addresses. */
static inline bool who_same_subscriber(const struct who_holder *a, const struct who_holder *b)
{
	return a->in_addr == b->in_addr && !strcmp(a->tenant, b->tenant);
}

struct who_answer {
	struct who_holder best; /* the last one recorded to have held it by the end of the second */
	/*
	 * The portmaps of the endpoint at that time, TCP's first. Without a block, from and to are those of the first.
	 */
	struct portmap_interval portmap[2];
	unsigned n_portmaps;
	/*
	 * All possible holders in that second, each subscriber once, in order of time: it changed hands in the second,
	 * or between the record of a change and its confirmation, or the clock was set and the second came twice. Valid
	 * until the next question.
	 */
	const struct who_holder *holders;
	size_t n_holders;
	/* Of the holders other than the answer, the one that had held it longest; NULL: the answer is definite. */
	const struct who_holder *other;
};

struct who;

/* Prepares for questions; the index may be freed afterwards. Returns 0 or -ENOMEM. */
int who_new(const struct history_index *x, struct who **ret);
void who_free(struct who *w);

/*
 * Finds which subscriber held the port of the outside address in second t. `best` and the portmaps are those of
 * WHO_FOUND; holders and other are always written. Otherwise `why` has the reason why there is no answer.
 */
enum who_result who_ask(struct who *w, struct endpoint out, int64_t t, struct who_answer *ret, struct error *why);

#endif
