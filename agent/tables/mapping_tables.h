/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings' tables in memory, for the rooms tables and sessions; others use tables/mappings.h. */
#ifndef DETNAT_MAPPING_TABLES_H
#define DETNAT_MAPPING_TABLES_H

#include "tables/chunks.h"
#include "tables/mappings.h"
#include "tables/overflow_map.h"
#include "tables/prefix_index.h"

/* A mapping's tables, from the beginning of its addition until its memory has been given back. */
enum table_stage {
	TABLE_MADE,	   /* chunks are being made; the datapath does not know of it */
	TABLE_LIVE,	   /* in the index */
	TABLE_UNLINKED,	   /* taken from the index; packets that found it there may still be on their way */
	TABLE_IN_GRACE,	   /* the grace period goes on after which there are none */
	TABLE_AWAITS_SCAN, /* its overflow sessions are to be deleted by the next pass through the overflow */
	TABLE_IN_SCAN,	   /* by the present one */
	TABLE_TELLING,	   /* its sessions are being told of */
	TABLE_CLEARING,	   /* its ranges are being given back */
};

struct mapping_job;
struct session;

/* How sessions that end with their mapping are reported; sessions/ended.c implements it. */
struct mappings_ending {
	/* Reports sessions in the slots of a leaving mapping, for a few milliseconds; true once all are reported. */
	bool (*report_slots)(struct mapping_job *t);
	/* Reports an overflow session of a leaving mapping, given by its IN2OUT entry. */
	void (*report_overflow)(struct mappings *m, const struct overflow_key *in2out, uint64_t word);
};

struct mapping_job {
	struct mappings *m;
	struct mapping_job *next; /* in the list of those that are on their way out */
	enum table_stage stage;
	struct mapping record;
	int number; /* -1: none */
	uint64_t n_subscribers;
	uint64_t n_buckets;
	uint32_t *sweep_due;	   /* by subscriber: the tick before which no sweep need look; NULL: not kept */
	uint64_t told;		   /* subscribers whose sessions were told of */
	uint64_t subscribers_done; /* given back */
	uint64_t buckets_done;
};

struct mappings {
	struct datapath *d;
	struct prefix_index in;
	struct prefix_index out;
	struct table_types types;
	struct chunks subscribers;
	struct chunks buckets;
	struct mapping_job *table[MAX_MAPPINGS]; /* by number; NULL: the number is free */
	uint16_t order[MAX_MAPPINGS];		 /* numbers of live mappings, by in_base */
	unsigned n_live;
	struct mapping_job *leaving; /* list */
	struct overflow_scan scan;   /* deletes overflow sessions of no mapping */
	bool scanning;
	struct background grace; /* of tables unlinked */
	bool grace_runs;
	uint32_t sweeps;		      /* sweeps begun */
	const struct mappings_ending *ending; /* NULL: sessions end unreported */
	int (*on_close)(const struct session *s, void *arg);
	void *on_close_arg;
	void (*on_leave)(void *arg);
	void *on_leave_arg;
};

/* Reserves number and puts the tables into the list of live ones (tables/mappings.c). */
void mappings_set_live(struct mappings *m, struct mapping_job *t, int number);

/* The ticks of mapping_job.sweep_due; NULL where there are none. */
uint32_t *mappings_sweep_due(const struct mappings *m, int number);

void mapping_job_free(struct mapping_job *t);

/* Takes the tables off the list of live ones. */
void mappings_unset_live(struct mappings *m, struct mapping_job *t);

/* Moves tables to a stage; at TABLE_CLEARING their chunks are retired. */
void mapping_job_set_stage(struct mapping_job *t, enum table_stage stage);

/* Appends tables to the list of those leaving. */
void mappings_leave(struct mappings *m, struct mapping_job *t, enum table_stage stage);

/* Waits until no packet is on its way in unlinked tables; their numbers and index nodes are free then. */
void mappings_settle(struct mappings *m);

/* Makes sure that nothing is left of leaving mappings that share inside or outside addresses with this one. */
void mappings_settle_overlaps(struct mappings *m, const struct geometry *g);

/* Whether overflow sessions may be left of a leaving mapping that shares addresses with this one. */
bool mappings_left_of_overlaps(const struct mappings *m, const struct geometry *g);

/* Deletes all overflow sessions of no mapping. */
void mappings_purge_overflow(struct mappings *m);

#endif
