/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks detnatctl, in a process of its own: what it prints with --json is what /api answers. Its time, its output and
 * the number of such processes are limited.
 */
#ifndef DETNAT_DESK_ASK_H
#define DETNAT_DESK_ASK_H

#include "base/base.h"
#include "buffer.h"

#define ASK_SECONDS   15
#define ASK_AT_ONCE   8U
#define ASK_MAX_WORDS 12U
#define ASK_OUTPUT    (64U << 20)

/* Where to ask. The paths live as long as the process. */
struct ask_at {
	const char *program;   /* path of detnatctl */
	const char *control;   /* the agent's socket */
	const char *state_dir; /* NULL: that of the agent */
};

/*
 * Runs detnatctl -j with these words, and input as its standard input. Returns the status of HTTP: 200 with its output,
 * or another one with err, which says what to do about it: 404 nothing found, 400 malformed, 503 the agent or room for
 * another question is missing, 504 no answer in ASK_SECONDS, 502 anything else.
 */
unsigned ask_ctl(const struct ask_at *at, const char *const *words, const struct buffer *input, struct buffer *ret,
		 struct error *err);

#endif
