/* SPDX-License-Identifier: BSD-2-Clause */
/* A history in a directory of its own, written by a clock that the test sets. */
#ifndef DETNAT_HISTORY_FIXTURE_H
#define DETNAT_HISTORY_FIXTURE_H

#include "history/history_read.h"
#include "recorder/history.h"

#define NOON 1767268800LL /* 2026-01-01T12:00:00Z */

struct history_lab {
	char directory[40];
	char state[64];	      /* two levels below it */
	int64_t now;	      /* seconds; NOON at first */
	int64_t set_by;	      /* by so much the clock was set in all */
	struct history_by by; /* who makes the changes of lab_change() */
	struct history *history;
};

extern struct history_lab lab;
extern const struct history_change lab_no_portmaps;

/* history_change() of mappings, with the other kinds of one or two more changes; drains may be NULL. */
int lab_change(struct history *h, const struct history_mapping *del, size_t n_del, const struct history_mapping *add,
	       size_t n_add, const struct history_change *portmaps, const struct history_change *drains,
	       struct error *err);

void lab_setup(void);
void lab_teardown(void);

/* The clock of the machine, which the test's has taken the place of. */
extern struct clock_reading (*lab_machine_clock)(void);
struct clock_reading lab_clock(void);
void lab_set_clock(int64_t by);

/* Opens the history, as an agent without a datapath does. */
void lab_begin(void);

struct history_mapping lab_mapping(const char *in, const char *out);

/* Records a mapping, and that it is in force. */
void lab_add(const char *in, const char *out);
void lab_confirm(void);

/* The events of the file, as words with blanks between them; there is no damage. */
const char *lab_events(void);

#endif
