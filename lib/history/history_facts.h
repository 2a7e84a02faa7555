/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts in the mapping history: mappings, portmaps, drains and grants. Each kind is a row of fact_rows[]; one set of
 * functions begins, ends and takes back facts of all kinds, writes and reads them.
 */
#ifndef DETNAT_HISTORY_FACTS_H
#define DETNAT_HISTORY_FACTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <detnat/mapping.h>

#include "base/address.h"
#include "base/hash.h"
#include "history/history_tenant.h"
#include "history/history_times.h"
#include "plan/blocks.h"
#include "proto/label.h"

/* X(constant, word) */
#define HISTORY_EVENTS(X)                                                       \
	X(EVENT_START, "start")	    /* an agent starts: lists all mappings */   \
	X(EVENT_ADD, "add")	    /* a mapping begins */                      \
	X(EVENT_DEL, "del")	    /* a mapping ends */                        \
	X(EVENT_DAILY, "daily")	    /* lists all mappings; no change */         \
	X(EVENT_UNDO, "undo")	    /* a recorded change did not take place */  \
	X(EVENT_PORTMAP, "portmap") /* a portmap begins or ends */              \
	X(EVENT_RETIRE, "retire")   /* addresses of a mapping begin to drain */ \
	X(EVENT_DRAINED, "drained") /* and have drained */                      \
	X(EVENT_GRANT, "grant")	    /* a grant begins or ends */                \
	X(EVENT_GRANTS, "grants")   /* a part of the next list; no change */    \
	X(EVENT_CONFIRM, "confirm") /* recorded changes have taken effect */    \
	X(EVENT_CLOCK, "clock")	    /* the clock was set */                     \
	X(EVENT_STOP, "stop")	    /* the agent ends, the datapath stays */    \
	X(EVENT_DETACH, "detach")   /* the datapath was removed: no mappings */

enum history_event {
#define X(constant, word) constant,
	HISTORY_EVENTS(X)
#undef X
};

enum fact_kind { FACT_MAPPING, FACT_PORTMAP, FACT_DRAIN, FACT_GRANT, FACT_KINDS };

/* From one moment to another; the first member of an interval, whose members they are, too. The fact follows. */
#define HISTORY_SPAN_MEMBERS                                                 \
	uint32_t begin;	   /* moments */                                     \
	uint32_t end;	   /* MOMENT_NONE: none */                           \
	int64_t to;	   /* TIME_OPEN: still */                            \
	uint64_t line;	   /* number of the record that began it */          \
	uint64_t end_line; /* number of the record that ended it; 0: none */ \
	uint32_t place;	   /* among the open ones, if it is one */           \
	bool undone;	   /* it failed, or never took effect */             \
	bool carried;	   /* the record that ended it is that of its mapping's end */

struct history_span {
	HISTORY_SPAN_MEMBERS
};

#define HISTORY_SPAN                         \
	union {                              \
		struct history_span span;    \
		struct {                     \
			HISTORY_SPAN_MEMBERS \
		};                           \
	}

/* Intervals of one kind. Zero-initialised. */
#define HISTORY_FACTS_MEMBERS(type)                                                                      \
	type *interval; /* in the order of the lines that began them */                                  \
	size_t n;                                                                                        \
	struct history_pauses pauses;                                                                    \
	uint32_t *open; /* numbers of the open ones; of drains in the order in which they were opened */ \
	size_t n_open;                                                                                   \
	struct hash_index by_place; /* the same, by what only one of them can have */

struct history_facts {
	HISTORY_FACTS_MEMBERS(void)
};

#define HISTORY_FACTS(type)                         \
	union {                                     \
		struct history_facts facts;         \
		struct {                            \
			HISTORY_FACTS_MEMBERS(type) \
		};                                  \
	}

/* A mapping, as a record has it. */
struct history_mapping {
	struct prefix in;
	struct prefix out; /* may be PREFIX_NONE */
	bool open;	   /* "inbound": "open" */
	struct plan_blocks blocks;
	int64_t from;
	char name[LABEL_TEXT];	 /* "": none */
	char tenant[LABEL_TEXT]; /* whose subscribers they are; "": none, or not known */
};

/* It held from <= t < to. */
struct history_interval {
	HISTORY_SPAN;
	struct history_mapping mapping;
};

/* A portmap: consecutive ports, as a record has them. */
struct history_portmap {
	struct port_span in;
	struct port_span out;
	uint8_t proto;
	char tenant[LABEL_TEXT]; /* of the subscriber; "": none, or not known */
	int64_t from;
};

/* A single port, as a range may lose some of its ports; it led there from <= t < to. */
struct portmap_interval {
	HISTORY_SPAN;
	struct history_portmap portmap;
};

/*
 * A drain: the mapping of inside addresses opens no more sessions for them, because it was deleted or replaced or
 * because an exception has the addresses, while their sessions in it continue.
 */
struct history_drain {
	struct prefix in; /* the mapping's */
	struct prefix out;
	struct prefix of; /* the addresses; the mapping's inside prefix if all of it drains */
	int64_t from;
};

/* They drained from <= t < to. */
struct drain_interval {
	HISTORY_SPAN;
	struct history_drain drain;
};

/*
 * A grant: which subscriber had a block of the shared range of an outside address (RFC 7422 section 2.1), the ports
 * from port_lo on, of all protocols. It is of one mapping of its subscriber, and ends with it at the latest. Addresses
 * are in host byte order.
 */
struct history_grant {
	uint32_t in;
	uint32_t out;
	uint16_t port_lo;
	uint16_t ports;
	bool replicated; /* of a group that is to be recorded: another gateway began or ended it */
	int64_t from;
	uint32_t day; /* of its beginning since 1970, in whose file it is; 0: it is in the history itself */
	uint32_t at;  /* the line of that file which began it */
};

/* Whether it is not known who had which block: the file of its day has gone, or is damaged. */
static inline bool history_grant_unknown(const struct history_grant *g)
{
	return !g->ports;
}

/* Grants of a list that are in one line. */
#define GRANTS_OF_LINE 256U

/* The subscriber had the block from <= t < to. */
struct grant_interval {
	HISTORY_SPAN;
	struct history_grant grant;
};

struct history_mappings {
	HISTORY_FACTS(struct history_interval);
};

struct history_portmaps {
	HISTORY_FACTS(struct portmap_interval);
};

struct history_drains {
	HISTORY_FACTS(struct drain_interval);
};

struct history_grants {
	HISTORY_FACTS(struct grant_interval);
};

/* A kind of fact. Of a fact with parts, which become intervals of their own, `hash` to `within` get single ones. */
struct fact_row {
	const char *name;
	size_t size;		   /* of a fact */
	size_t from;		   /* the place of its `from` */
	enum history_event begins; /* the event of a record of its beginning, */
	enum history_event ends;   /* and of its end; if it is the same, the record says which */
	const char *list;	   /* its word in a start or daily record */
	bool listed;		   /* such a record has the list even if that is empty */
	bool apart;		   /* lines before such a record have the list */
	bool complete;		   /* a list in the middle of the history has all that are open, or there is damage */
	bool strict;		   /* so there is if a line begins what is there already, or ends what is not */
	bool ordered;		   /* the open ones keep the order in which they were opened */
	uint64_t (*hash)(const void *fact);
	bool (*meets)(const void *a, const void *b); /* of two such facts only one can be open */
	bool (*same)(const void *a, const void *b);
	bool (*exact)(const void *a, const void *b);  /* of several that meet, the one to take; NULL: only one does */
	bool (*covers)(const void *a, const void *b); /* b goes on as a, where a begins; NULL: never */
	bool (*within)(const void *fact, const struct history_mapping *m); /* ends with it; NULL: never */
	bool (*part)(const void *fact, uint32_t i, void *ret);		   /* a single one; NULL: it has no parts */
	size_t (*sort)(void *facts, size_t n); /* of a list of open ones; returns their number. NULL: as they are */
	bool (*valid)(const void *fact);       /* in memory, where a file could have anything; NULL: always */
	void (*write)(FILE *out, const void *fact);
	bool (*read)(const cJSON *json, void *ret);
};

extern const struct fact_row fact_rows[FACT_KINDS];

/* The time since when a fact holds. */
static inline int64_t *history_fact_from(enum fact_kind kind, void *fact)
{
	return (int64_t *)((char *)fact + fact_rows[kind].from);
}

/* The fact of an interval, and an interval by its number. */
static inline void *history_fact_of(const void *interval)
{
	return (char *)(uintptr_t)interval + sizeof(struct history_span);
}

static inline struct history_span *history_facts_number(enum fact_kind kind, const struct history_facts *f, size_t i)
{
	return (struct history_span *)((char *)f->interval + i * (sizeof(struct history_span) + fact_rows[kind].size));
}

void history_facts_free(struct history_facts *f);

/* Indexes the open ones anew, whose numbers are in `open`. 0 or -ENOMEM. */
int history_facts_index(enum fact_kind kind, struct history_facts *f);

/*
 * The open interval where a fact has its place, whosever it is, or NULL; that of the same fact, or NULL. Of one with
 * parts, only the first counts.
 */
void *history_facts_at(enum fact_kind kind, const struct history_facts *f, const void *fact);
void *history_facts_find(enum fact_kind kind, const struct history_facts *f, const void *fact);

/* The first fact that is open in one list and not in another, or NULL. */
const void *history_facts_missing(enum fact_kind kind, const struct history_facts *f, const struct history_facts *in);

/* Whether the same facts are open in both. */
bool history_facts_agree(enum fact_kind kind, const struct history_facts *a, const struct history_facts *b);

/*
 * Applies a record: the fact begins or ends. What is open in its place ends at the beginning. begin: the moment at
 * which it began, also of an end whose beginning is not known. 0 or -ENOMEM.
 */
int history_facts_take(enum fact_kind kind, struct history_facts *f, const void *fact, bool ends, uint32_t begin,
		       struct history_at at);

/* Ends those of an ended mapping, or all. */
void history_facts_end_of(enum fact_kind kind, struct history_facts *f, const struct history_mapping *m,
			  struct history_at at);
void history_facts_end_all(enum fact_kind kind, struct history_facts *f, struct history_at at);

/* Undoes the effect of a line; false if none of the intervals is of that line. *ret: 0 or -ENOMEM. */
bool history_facts_undo(enum fact_kind kind, struct history_facts *f, struct history_times *t, uint64_t line,
			struct history_at at, int *ret);

/* The open facts: ports merged to spans, grants by address and port. The caller frees *ret. 0 or -ENOMEM. */
int history_facts_list(enum fact_kind kind, const struct history_facts *f, void *ret, size_t *ret_n);

/*
 * Merges neighbours in a list of single ports to spans, in place; returns their number. Ports that began at different
 * times stay apart.
 */
size_t history_portmaps_merge(struct history_portmap *list, size_t n);

/* Whether a drain covers all addresses of its mapping. */
bool history_drain_whole(const struct history_drain *d);

/* Whether a block is of its subscriber's outside address, and of the shared range, in a mapping of this geometry. */
bool history_grant_fits(const struct geometry *geo, const struct history_grant *g);

#endif
