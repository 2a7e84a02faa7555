/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the history in a directory, which an agent may be using, or which may be a copy. */
#ifndef DETNAT_HISTORY_READ_H
#define DETNAT_HISTORY_READ_H

#include "history/history_index.h"

#define BOOT_TEXT 40

/* HISTORY_HEAD_FILE: the end of the history, and the time of its last confirmation. */
struct history_head {
	uint64_t line;
	int64_t time;
	char hash[HASH_TEXT];
	int64_t real_ms; /* readings of the clock and of the time since the machine was started; 0: not recorded */
	int64_t boot_ms;
	char boot[BOOT_TEXT];	    /* the kernel's name of the boot of the machine; "": not recorded */
	bool unrecorded;	    /* mappings exist since then without a record */
	bool audit_queries;	    /* each look at a person must leave a line; also of a damaged head */
	char gateway[GATEWAY_TEXT]; /* "": not recorded */
	struct clock_state clock;   /* the worst since the last line that has it */
};

/* Compares the end of the file with its head file. */
enum history_end {
	END_AGREES,
	END_NO_HEAD,  /* without the head file a missing end cannot be detected */
	END_BAD_HEAD, /* the head file is damaged */
	END_MISSING,  /* lines up to head.line are missing */
	END_OTHER,    /* the head is that of another history */
};

struct history_files {
	struct history_index index;
	char *text; /* the file, size octets; the last `torn` are an incomplete line */
	size_t size;
	size_t torn;
	enum history_end end;
	struct history_head head; /* not with END_NO_HEAD and END_BAD_HEAD */
	char *head_text;	  /* that file as it was read; NULL: there was none */
	struct grant_days *days;  /* of the directory; NULL: those of another history */
};

/* Reads the history of a directory. Returns 0, or -errno with err. Damage is not an error. */
int history_files_read(const char *dir, struct history_files *ret, struct error *err);

/* The same, through HISTORY_CACHE_FILE if that matches. */
int history_files_read_cached(const char *dir, struct history_files *ret, struct error *err);
void history_files_free(struct history_files *f);

/* The head file of a directory. 0, -errno, or -EBADMSG: it is damaged; the caller frees *ret_text, also then. */
int history_head_read(int dir, struct history_head *ret, char **ret_text);

/*
 * The records behind one that its line and its hash name, at *ret_at of a text that has up to so many lines before that
 * place; the index is empty. 0 or -errno, after which the whole history has to be read: it has no such record, or the
 * records behind do not follow up to that of the head.
 */
int history_tail_read(const char *dir, uint64_t line, const char *hash, unsigned before, struct history_files *ret,
		      const char **ret_at);

/*
 * The same of a text of the lines with which evidence of such a history answers a question. 0 or -ENOMEM; the caller
 * frees *ret. from: the whole one, whose end it has.
 */
int history_files_of_text(const struct history_files *from, const char *text, size_t size, struct history_files *ret);

/* Returns the latest time for which the last state in the history is known to hold; TIME_NONE if it is empty. */
int64_t history_files_known_until(const struct history_files *f);

/* history_files_read() from descriptors, for the agent, which has the file open. Returns 0 or -errno. */
int history_files_read_at(int dir, int fd, struct history_files *ret);

/* Returns whether a line of the history has that hash; false also if the file cannot be read. */
bool history_has_hash(int fd, const char *hash);

/*
 * The contents of a history, saved after a reading in a file beside it: a question then reads only the lines added
 * since. The file is derived: it is valid only if it was made from exactly the octets at the beginning of the history,
 * by their SHA-256, and by a program with the same records. Everything in it is checked before use.
 */

#define HISTORY_CACHE_FILE "history.index"

/* A larger one is neither written nor read. */
#define HISTORY_CACHE_MAX (64U << 20)

/*
 * Reads the one in a directory for the text of a history. 0 with *ret_used octets of the text covered, or -errno: it is
 * missing, or does not match.
 */
int history_cache_read(int dir, const char *text, size_t size, struct history_index *ret, size_t *ret_used);

/*
 * Writes the one of an index that was fed the first `size` octets of a file. 0 or -errno; -EFBIG: it would be too
 * large; -ENOSPC: the history may need the room. The caller owns *ret_fd, a descriptor of the file.
 */
int history_cache_write(int dir, int history, uint64_t size, const struct history_index *x, int *ret_fd);

#endif
