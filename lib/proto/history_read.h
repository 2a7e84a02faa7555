/* SPDX-License-Identifier: BSD-2-Clause */
/* A history as it lies in a directory, read for questions; it may be in use by an agent, or a copy. */
#ifndef DETNAT_HISTORY_READ_H
#define DETNAT_HISTORY_READ_H

#include "proto/history_index.h"

/* HISTORY_HEAD_FILE: where the history ends, and when it was last known to. */
struct history_head {
	uint64_t line;
	int64_t time;
	char hash[HASH_TEXT];
};

/* How the end of the file compares with its head file. */
enum history_end {
	END_AGREES,
	END_NO_HEAD,  /* without the head file a missing end cannot be seen */
	END_BAD_HEAD, /* which is damaged */
	END_MISSING,  /* lines up to head.line are missing */
	END_OTHER,    /* it is the head of another history */
};

struct history_files {
	struct history_index index;
	char *text; /* of the file, size octets, of which the last `torn` are no whole line */
	size_t size;
	size_t torn;
	enum history_end end;
	struct history_head head; /* but for END_NO_HEAD and END_BAD_HEAD */
};

/* Reads the history of a directory: 0, or -errno with err. Damage is no error. */
int history_files_read(const char *dir, struct history_files *ret, struct error *err);
void history_files_free(struct history_files *f);

/* The latest time until which what the history says last is known to have been so; TIME_NONE of an empty one. */
int64_t history_files_known_until(const struct history_files *f);

/* For the agent, which has the file open: the same of descriptors. -errno. */
int history_files_read_at(int dir, int fd, struct history_files *ret);

/* Whether a line of a history has that hash; false also where it cannot be read. */
bool history_has_hash(int fd, const char *hash);

#endif
