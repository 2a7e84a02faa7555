/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history file: opens, locks and repairs it after a crash, and appends with fsync. Records appended are also fed to
 * the index, so that it always matches the file.
 *
 * The file only grows. HISTORY_HEAD_FILE beside it contains its end and the time until which the agent was running.
 */
#ifndef DETNAT_FILE_H
#define DETNAT_FILE_H

#include "history/history_read.h"
#include "recorder/history.h"

struct history_file {
	char *path;
	int dir; /* descriptor */
	struct chain chain;
	int head; /* descriptor */
	struct history_index index;
	struct grant_days *days; /* the files of grants */
	uint32_t grant_days;	 /* for how many days they are kept; 0: grants are in the history itself */
	uint32_t shown;		 /* the last day whose file of grants was given to the readers */
	uint64_t cached;	 /* known number of lines that HISTORY_CACHE_FILE covers */
	/* As of opening: see history_files_known_until(), and the head that the file had, if head.real_ms is not 0. */
	int64_t known_until;
	struct history_head was;
	char gateway[GATEWAY_TEXT]; /* of the directory */
	bool audit_queries;	    /* goes into the head; as found there, until it is set */
};

/*
 * Opens the file, making it and its directory (mode 0750) if needed, and removes an incomplete line at its end, which
 * is logged. 0 or -errno with err; -EWOULDBLOCK: another agent uses it.
 */
int history_file_open(const char *dir, struct history_file *ret, struct error *err);
void history_file_close(struct history_file *f);

/* Initialises a file that is not open, with an empty index. */
void history_file_init(struct history_file *f);

/* Checks that records could be appended: the file is unchanged and there is room. 0 or -errno with err. */
int history_file_probe(struct history_file *f, struct error *err);

/*
 * Appends all records or none, with `sync` on the disk when it returns, and sets their line numbers. 0 or -errno with
 * err, also if another program has changed, moved or removed the file.
 */
int history_file_append(struct history_file *f, struct history_record *records, size_t n, bool sync, struct error *err);

/* Waits until all records are on the disk. 0 or -errno with err. */
int history_file_sync(struct history_file *f, struct error *err);

/* Rewrites HISTORY_CACHE_FILE once many lines have been added; if that fails, questions read only the history. */
void history_file_cache(struct history_file *f);

/*
 * Stores the end of the history, that time, a simultaneous reading of the clocks, and how right the clock was since the
 * last line that says so, in HISTORY_HEAD_FILE. unrecorded: also, on the disk, that mappings exist without a record.
 * 0 or -errno.
 */
int history_file_mark(struct history_file *f, int64_t time, struct clock_reading now, struct clock_state state,
		      bool unrecorded);

/* Whether it was stored since the machine was started, according to its contents. */
bool history_head_of_this_boot(const struct history_head *head);

#endif
