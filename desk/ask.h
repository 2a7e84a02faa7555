/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks detnatctl, in a process of its own: what it prints with --json is what /api answers. Its time, its output and
 * the number of such processes are limited.
 */
#ifndef DETNAT_DESK_ASK_H
#define DETNAT_DESK_ASK_H

#include <stdbool.h>

#include "base/base.h"
#include "buffer.h"
#include "shares.h"

#define ASK_SECONDS   15
#define ASK_ARCHIVE_S 45 /* for an archive */
#define ASK_WAIT_S    5U /* for its turn */
#define ASK_MAX_WORDS 32U
#define ASK_OUTPUT    (64U << 20)
#define ASK_IN_MEMORY (256U << 10)
#define ASK_ARCHIVE   (2ULL << 30)

/* Where to ask. The paths live as long as the process. */
struct ask_at {
	const char *program;   /* path of detnatctl */
	const char *control;   /* the agent's socket */
	const char *state_dir; /* NULL: that of the agent, see state_dir.h */
	const char *leases;    /* directory of leases, NULL: state_dir, if there are any */
	const char *queries;   /* directory where uses of evidence are noted, NULL: state_dir */
	const char *key;       /* signs evidence, NULL: nothing does */
};

/* A question to detnatctl. */
struct ask {
	const char *words[ASK_MAX_WORDS + 1];
	unsigned n;
	const struct buffer *input; /* its standard input; NULL: empty */
	const struct asker *who;    /* whose share of processes and files it takes */
	int client;		    /* the socket of who waits for the answer; 0: somebody always does */
	bool archive;		    /* the answer is a file, and is none if detnatctl fails */
};

/* An answer: what is short in memory, what is long in a file without a name. */
struct ask_answer {
	struct buffer text;
	int fd;	       /* of the file; -1: it is the text */
	uint64_t size; /* of the file */
	struct asker who;
	uint64_t taken; /* of SHARE_ANSWERS */
};

#define ASK_NO_ANSWER ((struct ask_answer){ .fd = -1 })

/* Adds a word; and an option, unless its value is NULL. There must be room. */
void ask_add(struct ask *a, const char *word);
void ask_add_option(struct ask *a, const char *option, const char *value);

/*
 * Runs detnatctl -j with the words, and ends it when nobody waits for it any more. Returns the status of HTTP: 200 with
 * its output, or another one with err, which says what to do about it: 404 nothing found, 400 malformed, 413 the answer
 * is too long, 503 the agent or a share of what all use is missing, 504 no answer in time, 502 anything else.
 */
unsigned ask_ctl(const struct ask_at *at, const struct ask *ask, struct ask_answer *ret, struct error *err);

/* The text of an answer, wherever it is; NULL if it is empty or there is no memory. Give it back after use. */
const char *ask_answer_map(const struct ask_answer *a, size_t *ret_size);
void ask_answer_unmap(const struct ask_answer *a, const char *text, size_t size);

/* Gives back its share, too. */
void ask_answer_free(struct ask_answer *a);
#define _cleanup_answer_ __attribute__((cleanup(ask_answer_free)))

#endif
