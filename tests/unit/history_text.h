/* SPDX-License-Identifier: BSD-2-Clause */
/* Histories that a test writes as text, line by line, and what they say. */
#ifndef DETNAT_HISTORY_TEXT_H
#define DETNAT_HISTORY_TEXT_H

#include "history/history_who.h"

/* A history in the making. */
struct history_text {
	char *text;
	size_t size;
	FILE *out;
	char hash[HASH_TEXT];
	uint64_t line, confirmed;
	uint64_t format; /* of the starts that are put; 0: the present one */
	struct history_mapping none[1];
};

extern struct history_text told;

/* Two mappings of one pool, and an endpoint of both. */
#define A     "10.0.0.0/24", "1.1.1.0/32"
#define B     "10.9.0.0/24", "1.1.1.0/32"
#define POINT "1.1.1.0:1024"

void told_setup(void);
void told_teardown(void);
void told_start_anew(void);

struct history_mapping told_mapping(const char *in, const char *out_text, int64_t from);

void told_put(struct history_record r);
void told_put_start(int64_t time, int64_t since);
void told_put_change(int64_t time, enum history_event event, const char *in, const char *out_text, int64_t from);

/* What the lines since the last confirmation say was so by then. */
void told_put_confirm(int64_t until);

struct history_index told_read_back(void);

/* "10.0.0.5", "nobody", "no record"; with "+10.0.0.9" where that held it, too. */
const char *told_ask(const struct history_index *x, const char *endpoint, int64_t t);

void told_no_damage(const struct history_index *x);

#endif
