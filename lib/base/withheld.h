/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of a chained file (base/chain.h) that evidence of it does not show, as they concern others: in place of a run
 * of them stands
 *
 *   {"line":N,"event":"withheld","lines":K,"from":"...","to":"...","clock":{...},"hash":"..."}
 *
 * with the number of the first, the times of the first and the last, and the hash of the last, by which the next line
 * still follows. What was withheld can be shown later, and checked. `clock` is how the recording clock was in the
 * second that the evidence is about. "set_back":true begins a run where the clock was set back: all else of a history
 * is in the order of time.
 *
 * Of a line that matters, but is of somebody who is none of the case, stands what it says without his names: "lines":1
 * and "says":{...} before the hash. "damaged":true stands for a line that was changed, or that does not follow.
 *
 * Only evidence may have such lines: in a file that is recorded they are damage.
 */
#ifndef DETNAT_WITHHELD_H
#define DETNAT_WITHHELD_H

#include "base/chain.h"
#include "base/clock_state.h"

/* In a directory of evidence, and in no other. */
#define EVIDENCE_QUESTION "question.json"

struct withheld {
	uint64_t line;	  /* 0: not known */
	uint64_t lines;	  /* 0: not known, perhaps none */
	int64_t from, to; /* TIME_NONE: not known */
	struct clock_state clock;
	bool set_back; /* the first is of an earlier time than the line before, as the clock was set back */
	bool damaged;
	const char *says; /* an object; NULL: nothing is said */
	size_t says_size;
	char hash[HASH_TEXT];
};

/* Writes one, without a newline. */
void withheld_write(FILE *out, const struct withheld *w);

/* Whether a line, without its newline, is one, octet by octet; *ret has a part of it. */
bool withheld_read(const char *line, size_t size, struct withheld *ret);

#endif
