/* SPDX-License-Identifier: BSD-2-Clause */
/* What several answers of one case say together: whether they name the same customer. */
#ifndef DETNATCTL_CASE_VERDICT_H
#define DETNATCTL_CASE_VERDICT_H

#include "who_reply.h"

struct verdict_line {
	uint64_t line; /* of the question */
	bool definite, differs;
};

/* Zero-initialised. */
struct verdict {
	struct verdict_line *at;
	size_t n, room;
	char *first;	/* the customer, or without leases the subscriber, of the first definite answer */
	bool customers; /* leases were asked */
	bool failed;	/* out of memory */
};

/* Takes the answer to a question about second t, which stands in a line. */
void verdict_take(struct verdict *v, uint64_t line, int64_t t, const struct who_reply *r, const struct who_source *s);

/* "all 3 name the same customer", "they differ: lines 2, 3", "not definite: lines 4". The caller frees it; NULL: out of
 * memory. */
char *verdict_text(const struct verdict *v);

/*
 * Prints the rows of the answers behind it: as text where there are several, or it is asked for, and as an object of
 * JSON with "verdict" and "answers" only if it is asked for. 0 or -ENOMEM.
 */
int verdict_show(const struct verdict *v, bool asked, const char *rows, size_t size, struct writer *w);

void verdict_free(struct verdict *v);

#endif
