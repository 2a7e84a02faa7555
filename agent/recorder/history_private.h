/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files behind recorder/history.h, each of which calls only those before it: append.c (open, append),
 * portmaps.c and drains.c, start.c (compare with the tables), change.c and history.c (daily record, end).
 */
#ifndef DETNAT_HISTORY_PRIVATE_H
#define DETNAT_HISTORY_PRIVATE_H

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
	/* The last reported mappings in the tables, and the records that are owed. */
	struct history_mapping *present;
	size_t n_present;
	struct history_portmaps portmaps; /* the same of portmaps */
	struct history_drain *drains;	  /* and of drains */
	size_t n_drains;
	struct history_grants grants; /* and of grants, if they may differ from those of the history */
	bool grants_expected;	      /* they do not */
	struct history_by by;	      /* who made the change that is being written */
	bool taken_over;
	bool owes_start;
	bool was_early; /* the start was written before mappings that it should list were in the tables */
	bool owes_undo;
	bool owes_confirm;
	int64_t effect_ns; /* when the tables matched the records, by the steady clock */
	int head_r;	   /* of the last write of HISTORY_HEAD_FILE */
	bool quiet;	   /* the last records are of grants: the log gets the end of the history at the next tick */
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

bool history_list_has(const struct history_mapping *list, size_t n, const struct history_mapping *m);

/* Copies the list of mappings in the tables. 0 or -ENOMEM. */
int history_keep_present(struct history *h, const struct history_mapping *present, size_t n);

/* Whether the history has the portmaps of the datapath. */
bool history_portmaps_agree(const struct history *h);

/* Turns a list of portmaps into one of ports. 0 or -ENOMEM. */
int history_take_all(enum fact_kind kind, struct history_facts *f, const void *list, size_t n);

/* Sorts records that undo lines, the latest line first, and leaves one for each line, as one line may end many. Returns
 * their number. */
size_t history_undo_once(struct history_record *records, size_t n);

/*
 * Lines about portmaps to take back, since the last record of another kind: only the last change of a pair of endpoints
 * counts. ret has room for each portmap of the history. Returns their number, the last line first.
 */
size_t history_portmaps_wrong(const struct history *h, struct history_record *ret);

/* Records ends and beginnings of portmaps that the history lacks. 0 or -errno with err. */
int history_portmaps_align(struct history *h, struct error *err);

/* Expects the datapath to have the portmaps of the history. */
void history_portmaps_expect(struct history *h);

/* Records for the portmaps of a change, without times; returns their number. */
size_t history_portmap_records(const struct history *h, const struct history_portmap_change *c,
			       struct history_record *ret);

/* Whether the history has the drains of the tables. */
bool history_drains_agree(const struct history *h);

/* The lines by which mappings have ended that may have to be taken back, in order. */
struct history_ends {
	uint64_t *line;
	size_t n;
};

/* 0 or -ENOMEM; the caller frees ret->line. */
int history_ends_list(const struct history_index *x, struct history_ends *ret);
bool history_ends_has(const struct history_ends *e, uint64_t line);

/*
 * Lines to take back, since the last record of another kind, as their drains did not take effect. Returns their number.
 */
size_t history_drains_wrong(const struct history *h, const struct history_ends *ends, struct history_record *ret);

/* Records beginnings and ends of drains of the tables that the history lacks. */
int history_drains_align(struct history *h, struct error *err);

/* Expects the tables to have the drains of the history. */
void history_drains_expect(struct history *h);

/* Copies the drains of the history if it agrees with the tables, else those of the tables; returns their number. */
size_t history_drains_copy(const struct history *h, struct history_drain *ret);

/* Records for the drains of a change, without times of beginnings; returns their number. */
size_t history_drain_records(const struct history *h, const struct history_drain_change *c, struct history_record *ret);

/* Whether the history has the grants of the tables. */
bool history_grants_agree(const struct history *h);

/* Records for a group, without times, of what is not so already; returns their number. */
size_t history_grant_records(const struct history_grants *known, const struct history_grant_change *c,
			     struct history_record *ret);

/*
 * The grants that deletions among these records end, and that a mapping which they add has again, as new ones: a block
 * of the shared range stays its subscriber's where only the blocks below or above it change. Written behind the
 * records, into `room` for all open ones; returns their number, or -ENOMEM.
 */
ssize_t history_grants_again(const struct history_index *x, const struct history_record *records, size_t n,
			     struct history_record *ret);

/* Sets when the grants of a group have begun. */
void history_grants_date(const struct history_grants *known, const struct history_grant_change *c);

/*
 * Lines about grants to take back, since the last record of another kind, where history and tables differ: at most
 * `room`, from history_grants_late(). `undone`: those about mappings that are taken back. The end of a mapping, which
 * ends its grants, is taken back only as that. Returns their number, the last line first.
 */
size_t history_grants_late(const struct history *h, const struct history_ends *ends);
size_t history_grants_wrong(const struct history *h, const struct history_ends *ends,
			    const struct history_record *undone, size_t n_undone, size_t room,
			    struct history_record *ret);

/* Records ends and beginnings of grants that the history lacks. 0 or -errno with err. */
int history_grants_align(struct history *h, struct error *err);

/* Expects the tables to have the grants of the history. */
void history_grants_expect(struct history *h);

/* The grants of the history if it agrees with the tables, else those of the tables; the caller frees *ret. */
int history_grants_copy(const struct history *h, struct history_grant **ret, size_t *ret_n);

/* Whether the history matches the tables. */
bool history_agrees(const struct history *h);

/* Writes an undo record for each change after the last record of any other kind that is not in the tables. */
int history_undo(struct history *h, struct error *err);

/* Copies the mappings that the index has open, with their start times; returns their number. */
size_t history_list_open(const struct history_index *x, struct history_mapping *ret);

/*
 * Records all mappings: with the times of their records if history and tables agree, else with the current time. since:
 * for a start; by: who renamed one, or NULL. 0 or -errno with err.
 */
int history_write_list(struct history *h, enum history_event event, int64_t since, const struct history_by *by,
		       struct error *err);

#endif
