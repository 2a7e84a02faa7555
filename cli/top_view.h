/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen of top, line by line. Independent of the terminal and the agent. */
#ifndef DETNATCTL_TOP_VIEW_H
#define DETNATCTL_TOP_VIEW_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

struct top_view {
	unsigned rows, columns; /* size of the screen */
	bool by_quota;
	const cJSON *status;   /* answers of the agent; NULL: none yet */
	const cJSON *counters; /* object: packets by counter name */
	const cJSON *before;   /* the counters at the previous frame; NULL: none */
	const cJSON *octets;   /* object: octets by counter name */
	const cJSON *octets_before;
	double seconds; /* between the two */
	const cJSON *top;
	const cJSON *top_before;
	const char *trouble; /* reason why there is no new data; NULL: no trouble */
};

/* Returns the number of subscribers that fit on the screen with the current counters: at least 1. */
unsigned top_view_subscribers(const struct top_view *v);

/* Draws the frame from the top left corner, and clears what was behind it. */
void top_view_draw(FILE *out, const struct top_view *v);

#endif
