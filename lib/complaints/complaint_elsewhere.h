/* SPDX-License-Identifier: BSD-2-Clause */
/* What a text says of its times in other places of it: the year of a day, which of 03/04 is the day, a zone. */
#ifndef DETNAT_COMPLAINT_ELSEWHERE_H
#define DETNAT_COMPLAINT_ELSEWHERE_H

#include "complaints/complaint_private.h"

enum day_order { ORDER_UNKNOWN, ORDER_DAY_FIRST, ORDER_MONTH_FIRST, ORDER_BOTH };

struct elsewhere {
	const struct reading *x;
	enum day_order order;	 /* that the text says or shows */
	int16_t years[12][31];	 /* of days that are named with their year; 0: none, -1: several */
	int said_year;		 /* of the log, as complaint_said_year() */
	bool plain[12][31];	 /* a day is named in a form that has one meaning */
	struct wall_zone *zones; /* of times that have one, sorted */
	size_t n_zones;
};

/* Surveys a text. 0 or -ENOMEM. */
int elsewhere_survey(struct elsewhere *e, const struct reading *x);
void elsewhere_free(struct elsewhere *e);

/* The year of a day that has none, or 0. */
int elsewhere_year(const struct elsewhere *e, const struct stamp *s);

/* Settles which is the day and which is the month. False if nothing says it. */
bool elsewhere_settle(const struct elsewhere *e, struct stamp *s);

/* What the text says about the zone of a time: with the same time in another place, or in a scope around it. */
struct claim elsewhere_zone(const struct elsewhere *e, const struct stamp *s, uint32_t scope);

/* Adds the zones that fields of the record of a time name: one that has a zone itself may contradict them. */
void elsewhere_fields(const struct elsewhere *e, uint32_t scope, struct claim *c);

#endif
