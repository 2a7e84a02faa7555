/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants in files of their days, grants-2026-01-31.jsonl, so that it can be forgotten who had them (`grant_retention`).
 * Beginning and end of a grant are in the file of the day on which it began. The line of the history names the file,
 * and the line there by its hash:
 *
 *   history.jsonl:            {"line":812,...,"event":"grant-of-day","day":"2026-01-31","grant":17,
 *                              "out":"192.0.2.1","from":"...","to":null,"day_line":17,"day_hash":"...",...}
 *   grants-2026-01-31.jsonl:  {"line":17,...,"event":"grant","in":"10.0.0.1","out":"192.0.2.1","port_lo":...,
 *                              "salt":"...","hash":"..."}
 *
 * `grant` is the line of the file with which the grant began, by which its end and lists name it. The salt is random:
 * from the hash that stays, nobody can find out by trying what the line had said.
 *
 * A line's number is never given again, so a list, which names no hash, means no other line: a file that was removed,
 * or has lost lines that the history names, gets no more. What begins then is in the next day's.
 *
 * The line of the day is on the disk before that of the history is written, and counts only with it: what a crash
 * leaves of a change that never took effect is in the day's file, and no line of the history names it.
 */
#ifndef DETNAT_HISTORY_GRANT_DAYS_H
#define DETNAT_HISTORY_GRANT_DAYS_H

#include "history/history_index.h"

/* In evidence: the lines of such files that decide, in the form of base/ledger_lines.h. */
#define GRANT_EVIDENCE_FILE "grants.jsonl"

/* What the event of a record has more that is about such grants, at least one: it is another kind of line. */
#define GRANT_OF_DAY "-of-day"
bool history_record_of_day(const struct history_record *r);

/* Which line of the file a record is about, if its grant is in one. */
void history_grant_line_write(FILE *out, const struct history_record *r);
bool history_grant_line_read(const cJSON *json, struct history_record *r);

/* The body of a line of the file, with its newline: 0 or -errno. */
int history_grant_body_write(FILE *out, const struct history_record *r);

/* The files of a directory. */
struct grant_days;

/* dir: a descriptor, of which this has its own. evidence: the lines are in GRANT_EVIDENCE_FILE. 0 or -errno. */
int grant_days_new(int dir, bool evidence, struct grant_days **ret);
void grant_days_free(struct grant_days *d);

/* Forgets what was read of the files; or only the lines, so that what a file grows by is read without those before. */
void grant_days_clear(struct grant_days *d);
void grant_days_trim(struct grant_days *d);

/* The number of the last line of a day that any record named which was resolved. 0: none. Nothing forgets it. */
uint64_t grant_days_named(const struct grant_days *d, uint32_t day);

/*
 * Reads what a line of a day says of a grant: who had which block. hash: of the line, "": any. 0; -ENOENT: the file was
 * removed, as the ledger says; -EBADMSG with why: it is missing, or the line is not in it as it was; or -errno.
 */
int grant_days_find(struct grant_days *d, uint32_t day, uint64_t line, const char *hash, struct history_grant *ret,
		    struct error *why);

/*
 * Reads of the grants of a record who had them. What is not known stays so. 0; -EBADMSG with why, and the day of the
 * first whose line is not there as it was; or -errno.
 */
int grant_days_resolve(struct grant_days *d, struct history_record *r, uint32_t *ret_missed, struct error *why);

/* Writes the lines of days that a record names, as evidence; those that are gone are left out. 0 or -errno. */
int grant_days_copy(struct grant_days *d, const struct history_record *r, FILE *out);

/* Takes who had a grant from an open one of the same place, which was read while the file was there. */
void history_grant_recall(const struct history_grants *known, struct history_grant *g);

/* Whether grants of an index are of days whose files have gone since. forget: who had which block. */
bool history_grants_gone(struct history_index *x, int dir, bool forget);

/* Whether the file of a day, by its name, has grants that last, or that ended at a time or later. */
bool history_grants_stay(const struct history_index *x, const char *name, int64_t since);

#endif
