/* SPDX-License-Identifier: BSD-2-Clause */
/* Many questions: each has a row for an answer, as text or as JSON. */
#ifndef DETNATCTL_WHO_ROWS_H
#define DETNATCTL_WHO_ROWS_H

#include "history/history_read.h"
#include "case_verdict.h"
#include "who_view.h"

struct who_question {
	uint64_t line; /* line number in the input */
	int64_t t;
	struct endpoint out;
	const char *fields; /* more members of its object in JSON, each after a comma; NULL: none */
};

/* Begins and ends a list of rows. */
void who_rows_begin(struct writer *w);
void who_rows_end(struct writer *w);

/* Answers a question by a row, which a verdict (NULL: none) takes, too. Returns an exit status: EXIT_REFUSED without an
 * answer or a customer. */
int who_row(struct who_source *source, const struct who_question *q, struct writer *w, struct verdict *v);

/* A row for a question that is not asked. */
void who_row_question(const struct who_question *q, struct writer *w);

/* A row for what is no question, of which only the line and the fields are used, with the reason as a word and as a
 * text. */
void who_row_malformed(struct writer *w, const struct who_question *q, const char *code, const char *text);

/* Answers one line of input, TIME ADDR:PORT. Returns an exit status: EXIT_USAGE if it is malformed. */
int who_row_of_line(struct who_source *source, char *text, size_t size, uint64_t line, struct writer *w,
		    struct verdict *v);

/*
 * Answers a question, or with endpoint NULL those on standard input, from a history of a directory and the leases that
 * the arguments name. shown: what the answer calls the directory; looks: gets a line of each on standard input; may be
 * NULL with an endpoint. Returns an exit status, with err set unless it is 0.
 */
int who_answer(const struct history_files *f, const char *dir, const char *shown, const char *endpoint, int64_t t,
	       const cJSON *args, struct looks *looks, struct writer *w, struct error *err);

#endif
