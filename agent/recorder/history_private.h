/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files behind recorder/history.h, each of which calls only those before it: append.c (open, append),
 * facts.c (compare with the tables), start.c, change.c and history.c (daily record, end).
 */
#ifndef DETNAT_HISTORY_PRIVATE_H
#define DETNAT_HISTORY_PRIVATE_H

#include "base/expiry_day.h"
#include "history/history_record.h"
#include "recorder/file.h"
#include "recorder/history.h"
#include "recorder/pin.h"

struct history {
	char *dir;
	struct history_file file;
	bool opened;
	int pin;
	int64_t latest; /* latest time seen: of the clock, or of the end of the file */
	int64_t later;	/* it may have been this much later */
	struct clock_watch watch;
	bool continued; /* history_continue_clock() was called */
	/* What the tables have, as last reported. */
	struct history_facts present[FACT_KINDS];
	bool expected[FACT_KINDS]; /* they have what the history has, and `present` is empty */
	bool taken_over;
	bool owes_start;
	bool was_early; /* the start was written before mappings that it should list were in the tables */
	bool owes_undo;
	bool owes_confirm;
	int64_t effect_ns;	     /* when the tables matched the records, by the steady clock */
	int head_r;		     /* of the last write of HISTORY_HEAD_FILE */
	int audit;		     /* 1: looks at persons must leave lines, -1: they need not; 0: as the head says */
	struct expiry_day retention; /* of the files of grants */
	bool quiet; /* the last records are of grants: the log gets the end of the history at the next tick */
};

/*
 * Appends records with the time before they are written, which is also that of mappings without one, and sets their
 * line and time. Records of steps of the clock come first. 0, or -errno with err and nothing written.
 */
int history_append(struct history *h, struct history_record *records, size_t n, struct error *err);

/* Logs the end of the history. */
void history_log_end(struct history *h);

/* Writes the confirmation that history_confirm() could not, if any. 0 or -errno with err. */
int history_write_confirm(struct history *h, struct error *err);

/* Stores the end of the history in HISTORY_HEAD_FILE (the result in h->head_r) and in the pinned map. */
void history_mark(struct history *h);

/* Stores in HISTORY_HEAD_FILE, if possible, that mappings exist without a record. */
void history_mark_unrecorded(struct history *h);

/* Notes, once, the steps of the clock since the history was last opened. on_datapath: of this boot of the machine. */
void history_continue_clock(struct history *h, bool on_datapath);

/* A fact of a list. */
static inline void *history_fact_at(enum fact_kind kind, const struct fact_list *list, size_t i)
{
	return (char *)list->of + i * fact_rows[kind].size;
}

/* Whether the first n facts of a list have this one. */
bool history_list_has(enum fact_kind kind, const struct fact_list *list, size_t n, const void *fact);

/* Turns a list into facts of its parts. 0 or -ENOMEM. */
int history_take_all(enum fact_kind kind, struct history_facts *f, const void *list, size_t n);

/* Sets since when the tables have what they have. */
void history_date_present(struct history *h, enum fact_kind kind, int64_t time);

/* Expects the tables to have what the history has. */
void history_expect(struct history *h);

/* Records of the end or the beginning of a fact; a beginning is without a time. */
struct history_record history_ending(enum fact_kind kind, const void *fact);
struct history_record history_beginning(enum fact_kind kind, const void *fact);

/*
 * Lists the facts of the history if it agrees with the tables and the times in it count, else those of the tables. The
 * caller frees *ret. 0 or -ENOMEM.
 */
int history_list_known(const struct history *h, enum fact_kind kind, bool dated, void *ret, size_t *ret_n);

/* Records ends and beginnings of facts that the history lacks. 0 or -errno with err. */
int history_align(struct history *h, enum fact_kind kind, struct error *err);

/* Whether the history matches the tables. */
bool history_agrees(const struct history *h);

/* Writes an undo record for each change after the last record of any other kind that is not in the tables. */
int history_undo(struct history *h, struct error *err);

/*
 * Records all mappings: with the times of their records if history and tables agree, else with the current time. since:
 * for a start; by: who renamed one, or NULL. 0 or -errno with err.
 */
int history_write_list(struct history *h, enum history_event event, int64_t since, const struct history_by *by,
		       struct error *err);

#endif
