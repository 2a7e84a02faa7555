/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the questions in a pasted complaint: lines that have ADDR:PORT and a time with its zone, in any words and
 * order. Pure. This is the one place that knows how complaints are written.
 */
#ifndef DETNAT_DESK_QUESTIONS_H
#define DETNAT_DESK_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* What is beyond these is counted alone. */
#define QUESTIONS_MAX 100000U
#define PROBLEMS_MAX  1000U

struct question {
	uint64_t line; /* in the text, from 1 */
	int64_t time;  /* seconds since 1970 UTC */
	struct endpoint out;
};

/* Why a line that has an endpoint asks nothing. */
enum question_problem { QUESTION_NO_TIME, QUESTION_NO_ZONE, QUESTION_BAD_TIME };

struct problem {
	uint64_t line;
	enum question_problem why;
};

struct questions {
	struct question *of;
	size_t n;
	struct problem *problems;
	size_t n_problems;
	uint64_t left_out; /* questions beyond QUESTIONS_MAX */
};

/* Lines without an endpoint are passed over. The text may have any octets. 0 or -ENOMEM. */
int questions_find(const char *text, size_t size, struct questions *ret);
void questions_free(struct questions *q);

/* A sentence about the problem, with its remedy. */
const char *question_problem_text(enum question_problem why);

/*
 * "2026-01-31T14:05:00+01:00", also with a blank for the T, blanks before the zone, and UTC, GMT or +0100 as the zone;
 * a fraction of a second is dropped. Reads from the beginning of the text, which ends at `end`. 0, -ENOENT if no time
 * begins here, or -EINVAL with *ret_why.
 */
int question_time(const char *text, const char *end, int64_t *ret, enum question_problem *ret_why);

#define _cleanup_questions_ __attribute__((cleanup(questions_free)))

#endif
