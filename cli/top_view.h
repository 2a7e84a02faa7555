/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen of top: what is on it, line by line. It knows no terminal and no agent. */
#ifndef DETNATCTL_TOP_VIEW_H
#define DETNATCTL_TOP_VIEW_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

struct top_view {
	unsigned rows, columns; /* of the screen */
	bool by_quota;
	const cJSON *status;   /* answers of the agent; NULL: none yet */
	const cJSON *counters; /* object: name to packets */
	const cJSON *before;   /* the same of the last frame, NULL: none */
	double seconds;	       /* between the two */
	const cJSON *top;
	const cJSON *top_before;
	const char *trouble; /* why there is nothing new; NULL: nothing wrong */
};

/* Subscribers that the screen has room for, with the counters as they are: 1 or more. */
unsigned top_view_subscribers(const struct top_view *v);

/* Writes the frame, from the upper left corner on, and clears what stood behind it. */
void top_view_draw(FILE *out, const struct top_view *v);

#endif
