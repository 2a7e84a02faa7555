/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by queue_compare.c and queue.c, which runs the jobs. */
#ifndef DETNAT_QUEUE_PRIVATE_H
#define DETNAT_QUEUE_PRIVATE_H

#include "base/background.h"
#include "recorder/queue.h"

enum job_kind { JOB_NONE, JOB_CHANGE, JOB_CONFIRM, JOB_RECONCILE, JOB_ASSUME, JOB_TICK };

struct job {
	struct job *next;
	enum job_kind kind;
	struct history_queue *queue;
	struct history_change change; /* add: of JOB_RECONCILE and JOB_ASSUME, the contents of the tables */
	int64_t time;		      /* of JOB_ASSUME */
	int64_t steady_ns;	      /* of JOB_CONFIRM and JOB_RECONCILE: time since when the tables have this state */
	history_done done;
	void *arg;
	bool audit; /* of JOB_TICK */
	uint32_t grant_days;
	bool started;
	bool forgotten;
	int r;
	struct error err;
};

struct history_queue {
	struct history *history; /* owned by the thread while a job is running */
	struct history_tables tables;
	struct background background;
	int wake; /* eventfd: the thread has finished a job */
	struct event *woken;
	int set; /* timerfd: the clock was set */
	struct event *was_set;
	void (*on_set)(void *arg); /* NULL: no listener */
	void *on_set_arg;
	struct job *first; /* the running job, if any */
	struct job **end;
	uint64_t began_us; /* start of the first job */
	uint32_t seconds;
	uint32_t compare_s;	 /* until all is compared with the tables again */
	enum fact_kind compares; /* what is next; FACT_KINDS: nothing now */
	bool audit;		 /* looks at persons leave lines */
	uint32_t grant_days;	 /* for how long files of grants are kept; 0: there are none */
	bool waits;		 /* a change was written and not yet confirmed */
	/* What was written last, if that is about to take effect. */
	enum { NOTHING, CHANGE, GROUP } takes_effect;
	int64_t began_s; /* when the last change was queued, or abandoned */
	struct history_rest *rests;
	size_t n_rests;
	struct history_grant *rested;
	size_t n_rested;
	/* The end of the history after the last job. */
	uint64_t line;
	char hash[HASH_TEXT];
};

/* All is compared so often, and in the seconds after a change; one kind of facts a second, as lists may be long. */
#define COMPARE_S 300U

static inline void history_queue_compare(struct history_queue *q)
{
	q->compares = FACT_MAPPING;
	q->compare_s = COMPARE_S;
}

/* Called each second. false: q->compares differ; why: the first difference. */
bool history_queue_compare_next(struct history_queue *q, struct error *why);

#endif
