/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/unanswered.h"

#include <stdio.h>

#include "config/active.h"
#include "datapath/datapath.h"
#include "metrics/usage_monitor.h"
#include "tables/mappings.h"

#define CHECK	 "unanswered"
#define QUESTION "does the upstream route %s to this gateway, or ask for %s addresses by ARP?"

bool nothing_came_back(const struct datapath *d)
{
	struct counters c;

	return !datapath_counters(d, &c) && c.in2out_translated && !c.out2in_translated;
}

void unanswered_say(const struct parts *a, doctor_line say, void *arg)
{
	char text[256], pool[INSIDE_TEXT];

	if (nothing_came_back(a->datapath)) {
		snprintf(text, sizeof(text), "packets went out, and none has come back yet: " QUESTION, "the pools",
			 "their");
		say(arg, CHECK, DOCTOR_WARNING, text);
		return;
	}
	for (int number = mappings_next(a->mappings, 0); a->usage && number >= 0;
	     number = mappings_next(a->mappings, number + 1)) {
		struct geometry g = mappings_get(a->mappings, number)->geo;

		if (!usage_is_silent(a->usage, number))
			continue;
		prefix_text(geometry_out(&g), pool);
		snprintf(text, sizeof(text), "sessions of TCP from %s are not answered: " QUESTION, pool, pool, "its");
		say(arg, CHECK, DOCTOR_WARNING, text);
	}
}
