/* SPDX-License-Identifier: BSD-2-Clause */
/* The findings of `detnatctl check`: a list of faults to which each part of the agent adds its own. */
#ifndef DETNAT_FINDINGS_H
#define DETNAT_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, name in JSON) */
#define FINDING_KINDS(X)                      \
	X(FINDING_COUNT, "count")             \
	X(FINDING_PLACE, "place")             \
	X(FINDING_PORT, "port")               \
	X(FINDING_FLOW, "flow")               \
	X(FINDING_STATE, "state")             \
	X(FINDING_DISPLACED, "displaced")     \
	X(FINDING_LIMIT_COUNT, "limit-count") \
	X(FINDING_MAPPING, "mapping")         \
	X(FINDING_INDEX, "index")             \
	X(FINDING_DEVICE, "device")           \
	X(FINDING_PROGRAM, "program")         \
	X(FINDING_ENTRY, "entry")             \
	X(FINDING_PIN, "pin")                 \
	X(FINDING_ROUTE, "route")             \
	X(FINDING_GUARD, "guard")             \
	X(FINDING_TAIL_CALL, "leaf")          \
	X(FINDING_HISTORY, "history")         \
	X(FINDING_PORTMAP, "portmap")         \
	X(FINDING_GRANT, "grant")             \
	X(FINDING_BINDING, "binding")         \
	X(FINDING_PEER, "peer")

enum finding_kind {
#define X(constant, name) constant,
	FINDING_KINDS(X)
#undef X
		N_FINDING_KINDS
};

const char *finding_kind_name(enum finding_kind kind);

struct finding {
	enum finding_kind kind;
	char where[64];
	char text[200];
	bool repaired;
};

/* Further findings are only counted. */
#define FINDINGS_MAX 1000U

/* Zero-initialised; released by findings_free(). */
struct findings {
	struct finding *finding;
	size_t n; /* in the list */
	uint64_t total;
	uint64_t repaired;
	bool failed; /* out of memory: the list is incomplete */
};

void __attribute__((format(printf, 5, 6)))
findings_add(struct findings *f, enum finding_kind kind, bool repaired, const char *where, const char *format, ...);

/* Marks the findings from index `from` on as repaired, except those that `after`, a second look, still contains. */
void findings_mark_repaired(struct findings *f, size_t from, const struct findings *after);
void findings_free(struct findings *f);

#endif
