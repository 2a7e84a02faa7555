/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes grants into the files of their days, before the records of the history that name those lines. */
#ifndef DETNAT_GRANT_FILES_H
#define DETNAT_GRANT_FILES_H

#include "recorder/file.h"

/*
 * Writes, with fsync, a line for each grant of these records that belongs into a day's file, and sets its place. What
 * begins belongs there with f->grant_days, what ends where it began. 0, or -errno with err.
 */
int grant_files_append(struct history_file *f, struct history_record *records, size_t n, struct error *err);

/* Forgets who had grants whose files have gone, in the index and in HISTORY_CACHE_FILE. */
void grant_files_forget(struct history_file *f);

/*
 * Removes the files whose grants have all ended before a time, and forgets who had them. 0 or -errno with err; *ret is
 * the number of files.
 */
int grant_files_expire(struct history_file *f, int64_t before, int64_t now, unsigned *ret, struct error *err);

#endif
