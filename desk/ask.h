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

#define ASK_SECONDS   15
#define ASK_AT_ONCE   8U
#define ASK_MAX_WORDS 20U
#define ASK_OUTPUT    (64U << 20)
#define ASK_ARCHIVE   (2ULL << 30)

/* Where to ask. The paths live as long as the process. */
struct ask_at {
	const char *program;   /* path of detnatctl */
	const char *control;   /* the agent's socket */
	const char *state_dir; /* NULL: that of the agent */
	const char *leases;    /* directory of leases, NULL: state_dir, if there are any */
	const char *queries;   /* directory where uses of evidence are noted, NULL: state_dir */
	const char *key;       /* signs evidence, NULL: nothing does */
};

/* A question to detnatctl. */
struct ask {
	const char *words[ASK_MAX_WORDS + 1];
	unsigned n;
	const struct buffer *input; /* its standard input; NULL: empty */
};

/* Adds a word; and an option, unless its value is NULL. There must be room. */
void ask_add(struct ask *a, const char *word);
void ask_add_option(struct ask *a, const char *option, const char *value);

/*
 * Runs detnatctl -j with the words. Returns the status of HTTP: 200 with its output, or another one with err, which
 * says what to do about it: 404 nothing found, 400 malformed, 413 the answer is too long, 503 the agent or room for
 * another question is missing, 504 no answer in ASK_SECONDS, 502 anything else.
 */
unsigned ask_ctl(const struct ask_at *at, const struct ask *ask, struct buffer *ret, struct error *err);

/*
 * The same for what may be long: it goes to a file without a name, of *ret_size octets, and is no answer if detnatctl
 * fails. The caller closes *ret_fd.
 */
unsigned ask_archive(const struct ask_at *at, const struct ask *ask, int *ret_fd, uint64_t *ret_size,
		     struct error *err);

#endif
