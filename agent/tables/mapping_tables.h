/* SPDX-License-Identifier: BSD-2-Clause */
/* A mapping's tables in memory, for the rooms tables and sessions; other rooms use tables/mappings.h. */
#ifndef DETNAT_MAPPING_TABLES_H
#define DETNAT_MAPPING_TABLES_H

#include <detnat/drains.h>
#include <detnat/prefix6.h>

#include "base/inside_runs.h"
#include "proto/label.h"
#include "tables/chunks.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"
#include "tables/mappings.h"
#include "tables/prefix_index.h"

/* The stages of a mapping's tables, from the start of its addition until its memory has been returned. */
enum table_stage {
	TABLE_MADE,	/* chunks are being made; unknown to the datapath */
	TABLE_LIVE,	/* in the index */
	TABLE_RETIRED,	/* only in the index of outside addresses: it drains */
	TABLE_UNLINKED, /* removed from the index; packets in flight may still use them */
	TABLE_IN_GRACE, /* waiting for a grace period, after which no packet does */
	TABLE_TELLING,	/* its sessions are being reported as ended, and its extents freed */
	TABLE_CLEARING, /* its memory is being returned */
};

struct mapping_job;
struct session;

/* How sessions that end with their mapping are reported; sessions/close.c implements it. */
struct mappings_ending {
	/* Reports sessions in the slots of a leaving mapping, for a few milliseconds; true once all are reported. */
	bool (*report_slots)(struct mapping_job *t);
	/* Reports a session in a slot that mappings_part() ends. */
	void (*report_slot)(struct mapping_job *t, uint32_t in_addr, uint64_t key, uint64_t word);
};

/* Buckets in the space of all mappings. */
struct bucket_range {
	uint32_t first;
	uint64_t count; /* 0: none */
};

/* Lines of limits, see mapping_limits.h, among the records of all subscribers; or lines of hosts. */
struct line_range {
	uint32_t first;
	uint64_t count;	 /* 0: none */
	uint64_t marked; /* by mapping_limits_prepare() so far */
	uint64_t done;	 /* returned so far */
};

/* See binding_preparation.h. */
struct binding_preparation {
	struct binding_layout wanted;
	uint32_t *lock;	 /* of each subscriber, when its table was prepared; NULL: no preparation under way */
	uint32_t next;	 /* subscriber of the pass under way */
	uint32_t passes; /* number of ended passes */
};

struct mapping_job {
	struct mappings *m;
	struct mapping_job *next; /* in mappings.leaving */
	enum table_stage stage;
	struct mapping record;
	int number; /* -1: none */
	uint64_t n_subscribers;
	uint64_t n_buckets;
	/* A part of another mapping's tables, whose sessions end: see mappings_part(). */
	struct mapping_job *part_of;	 /* NULL: this is a mapping */
	uint32_t part_first;		 /* the part's first subscriber, of n_subscribers */
	struct bucket_range bindings[3]; /* for one, two and three protocols; see mapping_bindings.h */
	struct binding_preparation preparation;
	struct line_range limits;
	struct record6 six;	   /* of IPv6 subscribers */
	struct line_range hosts;   /* likewise, mapping_hosts.h */
	uint32_t *sweep_due;	   /* per subscriber: no sweep needs to look before this tick; NULL: not kept */
	uint32_t *openings;	   /* per subscriber: the lock as last surveyed; 0: not yet; NULL: not kept */
	uint64_t left_ns;	   /* CLOCK_REALTIME since when the datapath does not use them */
	uint64_t told;		   /* subscribers whose sessions have been reported */
	uint64_t extents_done;	   /* subscribers whose extents are free */
	uint64_t subscribers_done; /* returned so far */
	uint64_t buckets_done;
	uint64_t bindings_done; /* of the range being returned */
};

/* What memory_available() said last, see lacks_memory(). */
struct memory_reading {
	uint64_t octets;
	uint64_t read_us;
	uint32_t chunks; /* that there were then */
};

struct mappings {
	struct datapath *d;
	struct prefix_index in;
	struct prefix_index out;
	struct table_types types;
	struct chunks subscribers;
	struct chunks buckets;
	struct chunks hosts; /* of IPv6 subscribers; without an outer map until mappings_open_hosts() */
	struct mapping_job *table[MAX_MAPPINGS]; /* by number; NULL: the number is free */
	struct inside_range order[MAX_MAPPINGS]; /* inside addresses of live mappings, sorted by address */
	unsigned n_live;
	unsigned n_retired;
	unsigned n_ipv6; /* of IPv6 subscribers, live or retired */
	/* The largest of those in use, mappings_choose_hints(): of IPv4 and of all; NULL: none, or not known. */
	const struct mapping_job *largest[2];
	bool knows_largest;
	struct inside_run run[INSIDE_RUNS(MAX_MAPPINGS)]; /* addresses of each */
	size_t n_runs;
	bool unsettled; /* the index is ahead of `order`, or holds addresses: gives no hints */
	struct mapping_drain drain[MAX_DRAINS];
	unsigned n_drains;
	char tenant[256][LABEL_TEXT]; /* names, by number */
	struct mapping_job *leaving;  /* list of tables on their way out */
	struct background grace;      /* for unlinked tables */
	bool grace_runs;
	bool changing;			      /* a change is under way, see mappings_begin() */
	bool index6_stale;		      /* the index of IPv6 prefixes is to be made anew */
	bool index6_read;		      /* programs may read the one that is not current */
	bool uncounted;			      /* some line's sessions have to be counted, sessions/limit_count.h */
	uint32_t sweeps;		      /* number of sweeps begun */
	const struct mappings_ending *ending; /* NULL: ends of sessions are not reported */
	int (*on_close)(const struct session *s, void *arg);
	void *on_close_arg;
	void (*on_act)(void *arg, int number, uint32_t in_addr, uint64_t key, uint64_t word);
	void *on_act_arg;
	struct memory_reading memory;
	void (*on_leave)(void *arg);
	void *on_leave_arg;
};

static inline bool table_stage_in_use(enum table_stage stage)
{
	return stage == TABLE_LIVE || stage == TABLE_RETIRED;
}

/* The stage itself, with the counts that depend on it; see mapping_job_set_stage(). */
static inline void mapping_job_note_stage(struct mapping_job *t, enum table_stage stage)
{
	int more = table_stage_in_use(stage) - table_stage_in_use(t->stage);

	t->m->n_retired += (stage == TABLE_RETIRED) - (t->stage == TABLE_RETIRED);
	t->m->n_ipv6 += (unsigned)(mapping_is_ipv6(&t->record) ? more : 0);
	t->stage = stage;
}

/* Reserves a number and makes the tables live. */
void mappings_set_live(struct mappings *m, struct mapping_job *t, int number);

/* Widens globals.pool_first..pool_last by an outside prefix; call it before the prefix can be found in the index. */
void mappings_widen_pool(struct mappings *m, const struct geometry *g);

/* Sets that range to the needs of all live mappings, which may be smaller than before. */
void mappings_measure_pool(struct mappings *m);

/* Makes the datapath try addresses of the largest live mappings first, see fib_hint(). */
void mappings_choose_hints(struct mappings *m);

/*
 * Begin and end steps after each of which `order` and the index differ: in between, the datapath looks up inside
 * addresses only in the index. A hint would give addresses of an exception to the mapping around it.
 */
void mappings_unsettle(struct mappings *m);
void mappings_settled(struct mappings *m);

/* mapping_job.openings of a mapping, or NULL. */
uint32_t *mappings_openings(const struct mappings *m, int number);

/* The ticks in mapping_job.sweep_due, or NULL. */
uint32_t *mappings_sweep_due(const struct mappings *m, int number);

void mapping_job_free(struct mapping_job *t);

/* Gives tables a number; they are in use when mappings_note_live() follows. */
void mappings_enter(struct mappings *m, struct mapping_job *t, int number);

/* Adds a mapping to those in use that have a number and are in the index. */
void mappings_note_live(struct mappings *m, struct mapping_job *t);

/* Makes the tables no longer live. */
void mappings_unset_live(struct mappings *m, struct mapping_job *t);

/* Moves tables to a stage; at TABLE_CLEARING their chunks are retired. */
void mapping_job_set_stage(struct mapping_job *t, enum table_stage stage);

/* Appends tables to the list of those on their way out. */
void mappings_leave(struct mappings *m, struct mapping_job *t, enum table_stage stage);

/*
 * An exception inside a mapping has been linked: once no packet in flight uses the enclosing mapping for its addresses,
 * their sessions in its tables end. Does nothing if there are none.
 */
void mappings_part(struct mappings *m, int enclosing, const struct geometry *exception);

/* Ends sessions of a part for a few milliseconds; true once all have ended. */
bool mapping_part_step(struct mapping_job *t);

/* A mapping in use, or one that a change takes into use again; or -ENOENT. */
int mappings_find_kept(const struct mappings *m, const struct mapping_spec *spec);

/* Sets the map `drains`, and the flags of mappings, from the list of drains. */
void mappings_publish_drains(struct mappings *m);

/*
 * Enters a mapping's addresses in the map `untranslated`, or removes them; does nothing for a mapping with an outside
 * prefix. 0 or -errno.
 */
int mappings_show_untranslated(const struct mappings *m, const struct mapping *record);
/* Whether a key of the map is one of those that the addresses have there. */
bool mappings_untranslated_key(const struct mapping *record, const struct tenant_prefix_key *key);
void mappings_hide_untranslated(const struct mappings *m, const struct mapping *record);

/* Adds a drain, and removes those that it covers. The caller must make sure that there is room, and publish it. */
void mappings_add_drain(struct mappings *m, const struct mapping_drain *drain);

/* Whether a mapping's sessions of an inside address, or of a whole prefix, drain. */
bool mappings_drains_of(const struct mappings *m, struct prefix in, int number);

/*
 * Removes the drains of a mapping's number, or those of addresses that their mapping has itself; exceptions within
 * these continue to drain.
 */
void mappings_forget_drain(struct mappings *m, unsigned at);
void mappings_forget_drains(struct mappings *m, int number);
void mappings_forget_needless_drains(struct mappings *m);

/* Reads the drains pinned by an earlier agent, without checking them. */
void mappings_read_drains(struct mappings *m);

/* Makes a mapping, in tables or not, drain from now on: it is only in the index of outside addresses. */
void mappings_set_retired(struct mappings *m, struct mapping_job *t);

/* Opens the space of lines of hosts, and makes its maps, unless that has been done; and closes it. */
int mappings_open_hosts(struct mappings *m, struct error *err);
void mappings_close_hosts(struct mappings *m);

/* mappings_host() by the second record, which tables on their way out have of their own. */
struct address6 mapping_host(const struct mappings *m, const struct mapping *record, const struct record6 *six,
			     uint32_t in_addr, uint32_t host);

/* Whether the datapath finds no mapping in the index of inside addresses: subscribers of IPv6 are in another one. */
static inline bool mapping_is_hidden(const struct mapping *record)
{
	return record->geo.out_plen == PLEN_NONE || mapping_is_ipv6(record);
}

/* Whether the tables hold sessions: not without translation, or if inbound is open. */
static inline bool mapping_has_slots(const struct mapping *record)
{
	return record->first_bucket != NO_BUCKETS;
}

/* Waits until no packet in flight uses unlinked tables; their numbers and index nodes are then free. */
void mappings_settle(struct mappings *m);

/* The same for nodes that only changes of shared addresses have left behind. */
void mappings_settle_index(struct mappings *m);

#endif
