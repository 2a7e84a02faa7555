/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables against the rules that the datapath and the agent keep (`detnatctl check`), while both work on them.
 *
 * Nothing here stops a packet. What looks wrong is looked at again when every program that ran at the first look has
 * ended, and only what still looks the same is told of; what changes each time is given up as unsettled. A count is set
 * right by a compare-and-exchange of the word that each opener changes, so none is lost.
 */
#ifndef DETNAT_CHECK_H
#define DETNAT_CHECK_H

#include "tables/mappings.h"

/* What can be found wrong: X(constant, name in JSON) */
#define CHECK_KINDS(X)                            \
	X(CHECK_COUNT, "count")                   \
	X(CHECK_PLACE, "place")                   \
	X(CHECK_PORT, "port")                     \
	X(CHECK_FLOW, "flow")                     \
	X(CHECK_STATE, "state")                   \
	X(CHECK_DISPLACED, "displaced")           \
	X(CHECK_OVERFLOW_COUNT, "overflow-count") \
	X(CHECK_OVERFLOW_TOTAL, "overflow-total") \
	X(CHECK_OVERFLOW_PAIR, "overflow-pair")   \
	X(CHECK_MAPPING, "mapping")               \
	X(CHECK_INDEX, "index")                   \
	X(CHECK_DEVICE, "device")                 \
	X(CHECK_PROGRAM, "program")               \
	X(CHECK_ENTRY, "entry")                   \
	X(CHECK_PIN, "pin")                       \
	X(CHECK_ROUTE, "route")                   \
	X(CHECK_GUARD, "guard")                   \
	X(CHECK_LEAF, "leaf")                     \
	X(CHECK_HISTORY, "history")

enum check_kind {
#define X(constant, name) constant,
	CHECK_KINDS(X)
#undef X
		N_CHECK_KINDS
};

const char *check_kind_name(enum check_kind kind);

struct check_finding {
	enum check_kind kind;
	char where[64];
	char text[200];
	bool repaired;
};

/* The first findings; of more only their number is known. */
#define CHECK_FINDINGS_MAX 1000U

struct check_findings {
	struct check_finding *finding;
	size_t n; /* in the list */
	uint64_t total;
	uint64_t repaired;
	bool failed; /* memory was short for one */
};

void __attribute__((format(printf, 5, 6)))
check_add(struct check_findings *f, enum check_kind kind, bool repaired, const char *where, const char *format, ...);

/* Marks the findings from the one of this number on as repaired, but those that a second look has shown again. */
void check_repaired(struct check_findings *f, size_t from, const struct check_findings *after);
void check_findings_free(struct check_findings *f);

/* What was looked at. */
struct check_figures {
	uint64_t mappings;
	uint64_t subscribers;
	uint64_t slots;
	uint64_t sessions; /* in slots, those in time-wait and expired ones included */
	uint64_t overflow_sessions;
	uint64_t looked_again; /* at subscribers and sessions */
	uint64_t unsettled;    /* given up, as they changed all the time */
};

struct table_check;

/* Goes through all tables; repair: mends what it finds where that is safe. The findings are the caller's. */
int table_check_new(struct mappings *m, bool repair, struct check_findings *findings, struct table_check **ret);

enum table_check_progress {
	TABLE_CHECK_DONE,
	TABLE_CHECK_MORE,  /* more to do at once */
	TABLE_CHECK_WAITS, /* for a grace period: to be called again in a millisecond or so */
};

/* Goes on for about budget_us microseconds; enum table_check_progress, or -errno. */
int table_check_step(struct table_check *c, unsigned budget_us);

const struct check_figures *table_check_figures(const struct table_check *c);
void table_check_free(struct table_check *c);

#endif
