/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history on disk: found, locked, mended after a crash, appended to with fsync. What is appended is also fed to the
 * index, so that it always says what the file says.
 *
 * The file grows at its end only. HISTORY_HEAD_FILE beside it says where it ends and until when the agent was alive.
 */
#ifndef DETNAT_FILE_H
#define DETNAT_FILE_H

#include "proto/history_read.h"

struct history_file {
	char *path;
	int dir; /* descriptors */
	int fd;
	int head;
	uint64_t size; /* octets that are good */
	bool torn;     /* more may stand there, of an append that failed */
	struct history_index index;
	int64_t known_until; /* when it was opened, see history_files_known_until() */
};

/*
 * Makes the directory (mode 0750) and the file where they are not there, takes away an incomplete line at its end and
 * says so. 0 or -errno with err; -EBUSY: another agent uses it.
 */
int history_file_open(const char *dir, struct history_file *ret, struct error *err);
void history_file_close(struct history_file *f);

/* One that is not open: its index is that of an empty file. */
void history_file_init(struct history_file *f);

/* Whether records could be appended: it is the file that it was, and there is room. 0 or -errno with err. */
int history_file_probe(struct history_file *f, struct error *err);

/*
 * Appends records and sets their line: all of them or none, and on the disk when it returns. -errno with err, also
 * where the file is no longer what it was because somebody else has changed, moved or removed it.
 */
int history_file_append(struct history_file *f, struct history_record *records, size_t n, struct error *err);

/* Says in HISTORY_HEAD_FILE that the history ends here at that time. 0 or -errno. */
int history_file_mark(struct history_file *f, int64_t time);

#endif
