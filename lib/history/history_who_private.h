/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by history_who.c, which looks for holders, and history_who_explain.c, which says why there is none. */
#ifndef DETNAT_HISTORY_WHO_PRIVATE_H
#define DETNAT_HISTORY_WHO_PRIVATE_H

#include "history/history_pieces.h"
#include "history/history_who.h"

/* A fact without its pauses, which follows: it lasted from one moment to the other. */
struct who_fact {
	uint32_t begin, end;
	uint32_t reach;			 /* that of the last end of this and the earlier ones of the same place */
	uint32_t whole_begin, whole_end; /* pauses included */
	uint32_t pad;
};
_Static_assert(sizeof(struct who_fact) % _Alignof(union any_fact) == 0, "a fact follows");

/* Facts of a kind, sorted by place, then by time. Zero-initialised: none. */
struct who_facts {
	enum fact_kind kind;
	void *held;
	size_t n;
};

/* unknown: grants of which it is not known whose they were; else all others. 0 or -ENOMEM; the caller frees ret->held.
 */
int who_facts_new(enum fact_kind kind, const struct history_facts *from, const struct history_times *times,
		  bool unknown, struct who_facts *ret);

/* One by its number; NULL behind the last. The numbers of the first at the place of a fact, or behind, and of the first
 * behind. */
const struct who_fact *who_facts_number(const struct who_facts *w, size_t i);
size_t who_facts_before(const struct who_facts *w, const void *fact);
size_t who_facts_until(const struct who_facts *w, const void *fact);

/* Seconds from one to another, both included. */
struct who_unknown {
	int64_t from, to; /* TIME_OPEN: still */
};

struct who {
	struct held *held; /* sorted by outside prefix */
	size_t n_held;
	size_t first_range;	  /* those from here on have outside ranges that are no prefixes */
	uint64_t lengths;	  /* bit n: there is an outside prefix of length n */
	struct holdings holdings; /* all of them, and those without an outside prefix */
	bool low_ports;		  /* some mapping gave ports below MAPPING_FIRST_PORT */
	struct who_facts portmaps;
	struct who_facts grants;
	struct who_facts forgotten;  /* grants of which nobody knows any more whose they were */
	uint32_t longest;	     /* ports of the largest grant */
	struct who_unknown *unknown; /* when blocks were granted of which nobody knows any more; in order, apart */
	size_t n_unknown;
	struct history_gaps gaps;
	int64_t first_time;
	bool replicated; /* other gateways grant blocks, too */
	/* Of each reckoning: the latest end up to it, and the earliest start from it on. */
	int64_t *latest_end, *earliest_start;
	/* Of the question. */
	struct pieces pieces;
	struct who_holder *holder;
	size_t n_holders;
	size_t room;
};

/* A question, and the present result of its search. */
struct search {
	struct who *w;
	const struct history_times *times;
	uint32_t port;
	uint32_t addr;
	int64_t t;
	uint32_t epoch;		   /* the reckoning that is searched */
	const struct held *covers; /* holds the address, but the port belongs to no subscriber */
	const struct held *kept;   /* the port's subscriber had another mapping, or this one was retired */
	uint32_t kept_in;
	uint32_t kept_epoch;
	uint8_t known;		       /* protocols whose holder in this reckoning is recorded */
	bool covered;		       /* its address was in a mapping */
	bool shared;		       /* others, who are not known, may have had a granted port within the second */
	const struct history_gap *gap; /* in another one that is unknown */
	int r;
};

/* The number of the first grant whose block may have the port of a question, and whether one has. */
size_t who_first_grant(const struct search *s);
bool who_grant_has(const struct search *s, const struct who_fact *v);
/* Lists the times for which grants are not known. 0 or -ENOMEM. */
int who_unknown_new(const struct history_grants *from, const struct history_times *t, struct who *w);

/* One that contains a second; NULL: none. */
const struct who_unknown *who_unknown_at(const struct who *w, int64_t t);

/*
 * Whether, within the second of a question, somebody who is not known may have had the ports of a grant before it, or
 * after.
 */
bool who_unknown_beside(const struct search *s, const struct who_fact *grant);

/* Why a question has no answer. */
enum who_result who_explain(const struct search *s, struct error *why);

#endif
