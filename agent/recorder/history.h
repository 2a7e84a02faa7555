/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mapping history as the agent writes it (RFC 7422): a log with one record per change of a mapping, written before
 * the change takes effect, one that confirms it after that, and one per day with all mappings. A change that cannot be
 * recorded is refused.
 *
 * The datapath outlives the agent, and the history outlives the datapath, so a start compares the two. If the datapath
 * is still there and its pinned map names the last line of the history, no mapping has changed in between; at most, the
 * last change was recorded and did not take effect, and is undone. Otherwise the mappings since the agent last ran are
 * unknown, and the record of the start says so.
 */
#ifndef DETNAT_HISTORY_H
#define DETNAT_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "history/history_index.h"
#include "history/history_record.h"
#include "recorder/kinds.h"

struct history;

/* Interval at which history_tick() must be called: what it notes holds for two. */
#define HISTORY_TICK_S (HISTORY_CURRENT_S / 2)

/* Packets in the kernel when the tables change have left it after this time. */
#define HISTORY_UNDER_WAY_NS (100 * 1000000LL)

/*
 * Makes the history of a state directory without opening it; functions that write open it first. pin: from
 * history_pin_open(), or -1; closed by history_close(). 0 or -ENOMEM.
 */
int history_new(const char *dir, int pin, struct history **ret, struct error *err);

/* Opens it unless it is open, see history_file_open(). 0 or -errno with err. */
int history_try_open(struct history *h, struct error *err);

/* history_new() and history_try_open(). */
int history_open(const char *dir, int pin, struct history **ret, struct error *err);
void history_close(struct history *h);

/*
 * Notes that the agent starts. taken_over: on an existing datapath, with these mappings in its tables. Nothing is
 * written before the first change or history_tick(), so that failed starts leave no record. 0 or -ENOMEM.
 */
int history_begin(struct history *h, bool taken_over, const struct history_mapping *present, size_t n);

/*
 * Notes which facts of a kind the datapath has, before history_begin() or history_reconcile(); when they began is not
 * read. 0 or -ENOMEM.
 */
int history_present(struct history *h, enum fact_kind kind, const void *list, size_t n);

/*
 * Lists the mappings that have drained and ended in this many seconds before now, between history_begin() and the
 * record of the start; those that were draining in a datapath that is gone ended now. None if the history cannot be
 * read. 0 or -ENOMEM; the caller frees *ret.
 */
int history_rested(const struct history *h, int64_t seconds, struct history_rest **ret, size_t *ret_n);

/* Facts of one kind. */
struct fact_list {
	void *of;
	size_t n;
};

/* A change: the facts that end, and those that begin. */
struct history_change {
	struct fact_list del[FACT_KINDS];
	struct fact_list add[FACT_KINDS];
	struct history_by by; /* who makes it */
};

/* Frees its lists, and leaves it without any. */
void history_change_free(struct history_change *c);

/*
 * Lists the grants whose blocks rest after a start with a new datapath: those that ended in this many seconds before
 * now, and those that the former datapath had, which end now; from: when they ended. Called between history_begin() and
 * the record of the start. 0 or -ENOMEM; the caller frees *ret.
 */
int history_rested_grants(const struct history *h, int64_t seconds, struct history_grant **ret, size_t *ret_n);

/* Writes records that are owed: the start of the agent, the undoing of a change. 0 or -errno with err. */
int history_settle(struct history *h, struct error *err);

/*
 * Notes that these mappings have been in the tables since that time without a record, as it could not be written: the
 * record of the start will say so. If that was written meanwhile, writes another one. 0, or -errno with err.
 */
int history_assume(struct history *h, const struct history_mapping *present, size_t n, int64_t time, struct error *err);

/*
 * Records that facts are about to end and begin, with one fsync, and sets `from` of grants that begin. Mappings in both
 * lists continue; of other kinds, what has ended or begun already is left out. With the end of a mapping its drains and
 * grants end, too: that takes no record of theirs. 0, or -errno with err if the change must not be made.
 */
int history_change(struct history *h, const struct history_change *c, struct error *err);

/*
 * Records that the last change has taken effect, at that time of the steady clock or before. Does nothing without an
 * unconfirmed change. 0, or -errno with err; the next record then comes after it.
 */
int history_confirm(struct history *h, int64_t steady_ns, struct error *err);

/* Whether a change was recorded, and neither confirmed nor undone. */
bool history_waits(const struct history *h);

/* The watch of the clock, for periodic looks by another thread; lives as long as the history. */
struct clock_watch *history_clock_watch(struct history *h);

/*
 * A change failed, or took effect in part, and these mappings are in the tables since that time of the steady clock:
 * undoes the records without effect, and confirms the others. If that cannot be written, returns -errno with err and
 * retries before the next record.
 */
int history_reconcile(struct history *h, const struct history_mapping *present, size_t n, int64_t steady_ns,
		      struct error *err);

/*
 * Whether the history agrees with these facts of a kind; if not, sets a text that names one (why may be NULL). True
 * also if it cannot be written, which is reported elsewhere.
 */
bool history_holds(const struct history *h, enum fact_kind kind, const void *present, size_t n, struct error *why);

/* The same of single facts that a change has made, as the tables have them, and ended: nothing is in their place. */
bool history_holds_change(const struct history *h, const struct history_change *c, struct error *why);

/*
 * Stores that the agent is running, records that the clock was set, and all mappings if the last such record is of
 * another day (UTC), and checks that there is room for a change. 0, or -errno with err if no change can be recorded.
 */
int history_tick(struct history *h, struct error *err);

/* Sets whether HISTORY_HEAD_FILE says that each look at a person must leave a line; written with the next tick. */
void history_set_audit(struct history *h, bool on);

/* Sets for how many days the files of grants are kept; 0: grants that begin are in the history itself. */
void history_set_grants(struct history *h, uint32_t days);

/* Record that the agent ends and the datapath continues, or that the datapath was removed. Log failures. */
void history_stop(struct history *h);
void history_detach(struct history *h);

/* The end of the history: the number of its last line (0 if empty) and its checksum. */
uint64_t history_end(const struct history *h, char ret_hash[static HASH_TEXT]);

struct history_pin;
/*
 * For --detach: records in the history of a state directory, if there is one, that the datapath was removed. of: the
 * pin of the datapath, as the history may belong to another one, and then records nothing: -ESTALE; NULL: unknown.
 */
int history_detach_at(const char *dir, const struct history_pin *of, struct error *err);

/* Connects the mapping history with the tables of the datapath. */

/* The mapping of a number in the tables, without a time; false: there is none. */
bool history_mapping_in_tables(const struct mappings *m, int number, struct history_mapping *ret);

/* A portmap as a record of one port, without a time. */
struct history_portmap history_portmap_of(const struct mappings *m, const struct portmap *portmap);

/* Lists what the tables have as the additions of a change. 0 or -ENOMEM; the caller frees it in any case. */
int history_take_tables(const struct history_tables *t, struct history_change *ret);

/* history_new() and history_begin() of a state directory for a datapath. */
int history_new_tables(const char *dir, const struct datapath *d, const struct history_tables *t, struct history **ret,
		       struct error *err);

/*
 * Notices when the clock of the machine is set, by comparing it with one that cannot be: both follow the same
 * corrections of their rate, so a clock that NTP slews does not count as set. May be used by several threads.
 */

struct clock_reading {
	int64_t real_ns;   /* since 1970 UTC */
	int64_t steady_ns; /* since the machine was started */
	int64_t slack_ns;  /* maximum time between the two */
};

/* Reads both clocks; tests replace it. */
extern struct clock_reading (*history_clock)(void);

/* And how right the clock is; tests replace it. */
extern struct clock_state (*history_clock_state)(void);

/* Seconds since 1970 UTC. */
int64_t history_now(void);

static inline int64_t clock_second(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

/* The clock was set: in seconds, the highest possible time before, the lowest after, and when it was noticed. */
struct clock_step {
	int64_t before;
	int64_t after;
	int64_t noticed;
	double by; /* seconds */
};

/* Number of separate steps until they are taken; further ones are merged into the last. */
#define CLOCK_STEPS 16U

struct clock_watch {
	pthread_mutex_t lock;
	bool looked;
	struct clock_reading first, last;
	struct clock_reading told; /* the last one when no step waited */
	struct clock_step step[CLOCK_STEPS];
	unsigned n_steps;
	struct clock_state worst; /* since the last clock_watch_worst_told() */
};

void clock_watch_init(struct clock_watch *w);

/* Reads the clocks and notes whether the clock was set since the last look. Returns the reading. */
struct clock_reading clock_watch_look(struct clock_watch *w);

/*
 * The last reading before which no step waits to be taken, with the difference between the clocks as of the last step.
 */
struct clock_reading clock_watch_last(struct clock_watch *w);

/*
 * Notes whether the clock was set between a reading of an earlier agent, on this boot of the machine, and the first
 * look.
 */
void clock_watch_continue(struct clock_watch *w, struct clock_reading before);

/*
 * Notes that the clock was set before the first look if that read less than `least`, an earlier reading; it may have
 * read `most` then.
 */
void clock_watch_begin(struct clock_watch *w, int64_t most, int64_t least);

/* How right the clock was, at worst, at the looks since the last one that was recorded, and that it is recorded now. */
struct clock_state clock_watch_worst(struct clock_watch *w);
void clock_watch_worst_told(struct clock_watch *w);

/* Whether steps wait to be taken. */
bool clock_watch_stepped(struct clock_watch *w);

/* Takes the noted steps, in order of time; returns their number. */
unsigned clock_watch_take(struct clock_watch *w, struct clock_step ret[static CLOCK_STEPS]);

/* Gives back steps that could not be recorded. */
void clock_watch_give_back(struct clock_watch *w, const struct clock_step *steps, unsigned n);

#endif
