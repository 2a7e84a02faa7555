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
#include <string.h>

#include <detnat/mapping.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/virtual6.h"
#include "history/history_times.h"
#include "plan/blocks.h"
#include "proto/label.h"

/* A test has a kind of its own. */
#ifndef FURTHER_FACTS
#define FURTHER_EVENTS(X)
#define FURTHER_FACTS(X)
#define FURTHER_ROWS
#endif

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
	X(EVENT_DETACH, "detach")   /* the datapath was removed: no mappings */ \
	FURTHER_EVENTS(X)

enum history_event {
#define X(constant, word) constant,
	HISTORY_EVENTS(X)
#undef X
};

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
	/* Of subscribers that are IPv6 prefixes, whose `in` is virtual: as base/virtual6.h knows it, for the cache. */
	struct prefixes6 six; /* plen 0: they are not, or not filled in */
	struct plan_blocks blocks;
	int64_t from;
	char name[LABEL_TEXT];	 /* "": none */
	char tenant[LABEL_TEXT]; /* whose subscribers they are; "": none, or not known */
};

/* A portmap: consecutive ports, as a record has them. Intervals are of single ports, as a range may lose some. */
struct history_portmap {
	struct port_span in;
	struct port_span out;
	uint8_t proto;
	char tenant[LABEL_TEXT]; /* of the subscriber; "": none, or not known */
	int64_t from;
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

/* X(constant, struct, struct of an interval, name of one, name of many) */
#define FACTS(X)                                                              \
	X(FACT_MAPPING, history_mapping, history_interval, mapping, mappings) \
	X(FACT_PORTMAP, history_portmap, portmap_interval, portmap, portmaps) \
	X(FACT_DRAIN, history_drain, drain_interval, drain, drains)           \
	X(FACT_GRANT, history_grant, grant_interval, grant, grants)           \
	FURTHER_FACTS(X)

enum fact_kind {
#define X(constant, fact, interval, one, many) constant,
	FACTS(X)
#undef X
		FACT_KINDS
};

/* Intervals, in which a fact held from <= t < to, and lists of them. */
#define X(constant, fact, interval, one, many)  \
	struct interval {                       \
		HISTORY_SPAN;                   \
		struct fact one;                \
	};                                      \
	struct history_##many {                 \
		HISTORY_FACTS(struct interval); \
	};
FACTS(X)
#undef X

/* Room for a fact of any kind. */
union any_fact {
#define X(constant, fact, interval, one, many) struct fact one;
	FACTS(X)
#undef X
};

/* A member that is a number, of 1, 2 or 4 octets, and one that is in a record; its type is of history_fact_kinds.c. */
struct fact_number {
	size_t at, size;
};

struct fact_key {
	const char *name;
	unsigned type;
	size_t at;
};

/* A kind of fact. Of a fact with parts, which become intervals of their own, each counts for itself. */
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
	bool sorted;		   /* by place where they are listed, and joined */
	bool by_tenant;		   /* its tenant belongs to its place */
	size_t tenant;		   /* the place of its name; 0: it has none */
	struct fact_number place[12]; /* of two facts that have these alike only one can be open */
	struct fact_number same[4];   /* and these, too, if they are the same */
	struct fact_key key[8];
	uint64_t (*hash)(const void *fact); /* of its place, where the numbers do not tell; NULL: they do */
	bool (*meets)(const void *a, const void *b);
	bool (*covers)(const void *a, const void *b); /* b goes on as a, where a begins; NULL: never */
	bool (*within)(const void *fact, const struct history_mapping *m); /* ends with it; NULL: never */
	bool (*part)(const void *fact, uint32_t i, void *ret);		   /* a single one; NULL: it has no parts */
	bool (*join)(void *fact, const void *next);   /* what comes next becomes a part of it; NULL: never */
	bool (*check)(const cJSON *json, void *fact); /* what was read, and reads the rest; NULL: nothing */
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

/* Orders facts by place. */
int history_facts_order(enum fact_kind kind, const void *a, const void *b);

/* A hash of its place, whether two have the same place, and whether they are the same. */
uint64_t history_fact_hash(enum fact_kind kind, const void *fact);
bool history_facts_meet(enum fact_kind kind, const void *a, const void *b);
bool history_facts_same(enum fact_kind kind, const void *a, const void *b);

/* Of several that meet a fact, the one to take: a record without a tenant's name may be of any. */
bool history_facts_exact(enum fact_kind kind, const void *a, const void *b);

/* The text of a member of a record, "" if there is none; writes all, and reads them into zeros; and whether those of a
 * file in memory can be. */
const char *history_fact_text(enum fact_kind kind, const void *fact, const char *key, char ret[static INSIDE_TEXT]);
void history_fact_write(FILE *out, enum fact_kind kind, const void *fact);
bool history_fact_read(const cJSON *json, enum fact_kind kind, void *ret);
bool history_fact_valid(enum fact_kind kind, const void *fact);

/*
 * Sorts a list, and joins neighbours, single ports to spans, in place; returns their number. Ports that began at
 * different times stay apart.
 */
size_t history_facts_sort(enum fact_kind kind, void *list, size_t n);

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

/* Whether two names may be of one tenant: an empty one is of any, as records before there were tenants have none. */
static inline bool history_same_tenant(const char *a, const char *b)
{
	return !*a || !*b || !strcmp(a, b);
}

/* Whether a drain covers all addresses of its mapping. */
bool history_drain_whole(const struct history_drain *d);

/* Whether a block is of its subscriber's outside address, and of the shared range, in a mapping of this geometry. */
bool history_grant_fits(const struct geometry *geo, const struct history_grant *g);

/* Writes the blocks of a mapping where they are not the defaults: ,"order":...,"first_port":... and so on. */
void history_blocks_write(FILE *out, const struct plan_blocks *b);

/* Reads the arithmetic of a mapping, with the blocks that the record names, or the defaults. false if malformed. */
bool history_blocks_read(const cJSON *json, struct prefix in, struct prefix out, struct geometry *ret);

#endif
