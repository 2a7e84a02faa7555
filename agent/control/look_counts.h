/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which looks at persons leave lines in an hour. What refreshes itself leaves one for each asker and question; what is
 * asked again and again leaves some, and the number of the others when the hour is over. An asker with very many is
 * refused, as each of his looks is to leave a line, and the disk is to have room.
 */
#ifndef DETNAT_LOOK_COUNTS_H
#define DETNAT_LOOK_COUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Questions that are told apart in an hour, and lines of one that is asked again. */
#define LOOK_QUESTIONS 4096U
#define LOOK_LINES     10U
/* Askers that are told apart, and lines of one in an hour. */
#define LOOK_ASKERS	    64U
#define LOOK_LINES_OF_ASKER 10000U

#define LOOK_FOR 65U

struct look {
	uint64_t asker, question; /* hashes; the question's has the asker in it */
	bool refreshes;		  /* by itself */
	uid_t uid;
	const char *kind; /* lives on */
	char for_whom[LOOK_FOR];
};

/* Zero-initialised. */
struct look_counts {
	int64_t hour;
	unsigned n, n_askers;
	struct looked {
		struct look look;
		unsigned lines;
		uint64_t more; /* that left none */
	} question[LOOK_QUESTIONS];
	struct {
		uint64_t asker;
		unsigned lines;
	} asker[1 + LOOK_ASKERS]; /* the first one is all for whom there is no place */
};

/* A look to which a line is due; one that is only counted; one that is refused. */
enum look_due { LOOK_LINE, LOOK_COUNTED, LOOK_REFUSED };

enum look_due look_due(struct look_counts *c, const struct look *l);

/* Its line is on the disk. */
void look_noted(struct look_counts *c, const struct look *l);

/*
 * Begins a new hour if `now`, seconds since 1970, is in one; before, tell() is called for each question that was
 * counted, but for what refreshes itself.
 */
void look_counts_turn(struct look_counts *c, int64_t now, void (*tell)(void *arg, const struct looked *q), void *arg);

#endif
