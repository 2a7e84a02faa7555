/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at persons leave lines in the ledger of queries (base/query_ledger.h): of all of them where the history's
 * directory says so, else of those with --case or --reason.
 */
#ifndef DETNATCTL_LOOKS_H
#define DETNATCTL_LOOKS_H

#include "base/address.h"
#include "base/query_ledger.h"
#include "history_files.h"

#define LOOKS_USER 128

/* The lines of one command. Zero-initialised: it leaves none. */
struct looks {
	bool wanted;
	const char *dir;    /* where the lines go */
	struct query query; /* what all of them have */
	char user[LOOKS_USER];
	int64_t now;
	FILE *out; /* the lines that wait */
	char *lines;
	size_t size;
	int r; /* of a line that could not be made: -errno with why */
	struct error why;
};

/* What the arguments of a command say of all its lines. dir: of the history, unless --queries names another one. */
void looks_init(struct looks *l, const char *kind, const cJSON *args, const char *dir);

/* The same, and finds whether there are to be lines; kind: the command. */
void looks_begin(struct looks *l, const char *kind, const cJSON *args, const struct history_files *f, const char *dir);

/* Adds a line. Does nothing where none is wanted; l may be NULL. */
void looks_add(struct looks *l, struct endpoint out, int64_t t);
void looks_add_text(struct looks *l, const char *question);

/* Appends the lines to the ledger. Without them there is no answer: EXIT_REFUSED with err, which says what to do. */
int looks_write(struct looks *l, struct error *err);

/* Adds a line of one question, and appends it. EXIT_DONE or EXIT_REFUSED with err. */
int looks_note(struct looks *l, const char *endpoint, int64_t t, struct error *err);

void looks_free(struct looks *l);
#define _cleanup_looks_ __attribute__((cleanup(looks_free)))

#endif
