/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger of queries: who looked at a person, when, at what, and for which case. A look is a line of
 * queries-YYYY-MM.jsonl in a directory of chained files (base/ledger.h). All programs write the same form.
 */
#ifndef DETNAT_QUERY_LEDGER_H
#define DETNAT_QUERY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/chain.h"
#include "base/error.h"

/* The most octets of a text of a line. */
#define QUERY_TEXT_MAX 1024U

/* A look at a person. Texts that are NULL are left out; none of them needs to be of any form. */
struct query {
	const char *user;      /* the account that asks */
	uid_t uid;	       /* of it */
	const char *sudo_user; /* who became it by sudo */
	const char *for_whom;  /* for whom it asks: the desk's user, or the name of a token */
	const char *via;       /* "command", "desk" or "agent" */
	const char *kind;      /* the command or the page */
	const char *case_id;
	const char *reason;
	const char *question; /* in the words of the command */
	const char *endpoint; /* in place of a question, with the time that is asked about: ADDR:PORT */
	const char *at;
	const char *answer;  /* the SHA-256 of the answer, in hexadecimal digits */
	const char *refused; /* why there was no answer */
	uint64_t times;	     /* how often more than the line before says, in that hour; 0: not said */
};

/*
 * Writes a line as ledger_append() takes it, with its newline. Whatever does not show itself is escaped. 0, or -errno
 * with err; -E2BIG: a text is longer than QUERY_TEXT_MAX, or all of them are too long together.
 */
int query_write(FILE *out, const struct query *q, int64_t now, struct error *err);

/* In the head of a directory where each look at a person must leave a line. */
#define QUERY_AUDIT ",\"audit_queries\":true"

/* Whether the head, a file of a directory, has it. False also where there is none. */
bool query_audited(const char *dir, const char *head);

/* Appends such lines to the file of a time in a directory, and brings them to the disk. 0 or -errno with err. */
int query_append(const char *dir, const char *lines, size_t size, int64_t now, struct error *err);

/*
 * Appends the line of one look. Without it there must be no answer. dir: where the ledger is; now: seconds since 1970.
 * Returns 0, or -errno with err. Waits for the disk and for other writers.
 */
int query_note(const char *dir, const struct query *q, int64_t now, struct error *err);

#endif
