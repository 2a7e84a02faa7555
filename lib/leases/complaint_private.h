/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms of complaints. */
#ifndef DETNAT_COMPLAINT_PRIVATE_H
#define DETNAT_COMPLAINT_PRIVATE_H

#include "leases/complaint.h"

/* A reading. */
struct complaints {
	char *text;
	size_t size;
	const struct zone *zone;
	complaint_take take;
	void *arg;
};

/* Decodes what programs of mail have encoded, in place. The text ends with a NUL, before and after. */
void complaint_decode(struct complaints *c);

/* Takes the tags out of HTML, in place: cells of a table are separated by tabs, its rows by new lines. */
void complaint_untag(struct complaints *c);

/* What a question is made of; texts of the values, NULL: not found. */
struct complaint_parts {
	uint64_t line;
	const char *time, *addr, *port;
};

/* Makes a question of its parts and gives it, or the reason why it is none. What take returned. */
int complaint_give(const struct complaints *c, const struct complaint_parts *parts);

/* Gives a question whose time was found already; r and why are of zone_time_find(). */
int complaint_give_time(const struct complaints *c, uint64_t line, struct endpoint out, int r, int64_t t,
			const struct error *why);

/* Each looks at the text and, if it is of its form, reads it: returns true with *ret what take returned. */
bool complaint_xml(const struct complaints *c, int *ret);
bool complaint_json(const struct complaints *c, int *ret);
bool complaint_arf(const struct complaints *c, int *ret);
bool complaint_csv(const struct complaints *c, int *ret);
bool complaint_tcpdump(const struct complaints *c, int *ret);
bool complaint_mail(const struct complaints *c, int *ret);

/* Calls a function with each line of the text, which then ends with a NUL; it may be changed. */
typedef int (*complaint_line)(const struct complaints *c, void *state, uint64_t line, char *text);
int complaint_lines(const struct complaints *c, complaint_line each, void *state);

#endif
