/* SPDX-License-Identifier: BSD-2-Clause */
/* A history whose grants are in files of their days. */
#ifndef DETNAT_GRANT_DAYS_FIXTURE_H
#define DETNAT_GRANT_DAYS_FIXTURE_H

#include "history/history_who.h"
#include "recorder/history.h"

#define DAY   86400
#define FIRST "grants-2026-01-01.jsonl"
#define NEXT  "grants-2026-01-02.jsonl"

/* A history of which grants are kept for two days, with a mapping. */
void days_begin(void);

/* The mapping with the shared range, from 1024 to 2047. */
struct history_mapping days_sharing(void);

/* Puts it in the place of the first. */
void days_share(void);
struct history_grant days_grant(uint32_t host, uint16_t port_lo);

/* Ends a grant and begins another; each may be NULL. As history_change(). */
int days_change(struct history_grant *end, struct history_grant *begin);
void days_make(struct history_grant g);
void days_end(struct history_grant g);
void days_tick(void);

/* Of a file of the state directory; overwritten by the next. */
char *days_path(const char *name);
bool days_is_there(const char *name);

/* Whether a line of a file has a text. */
bool days_says(const char *name, const char *text);

/* As who_ask() of 1.1.1.0; the inside address of who is found, or 0. */
enum who_result days_ask(const char *dir, uint16_t port, int64_t t, uint32_t *ret_in, struct error *why);

/* What `history verify` finds, with the text of the first. */
size_t days_damages(char ret[static 160]);
uint64_t days_ledger_faults(void);

/* A start whose datapath has the mapping of days_sharing() and these grants. */
void days_start_without_knowing(struct history_grant *list, size_t n);

#define EXPECT(port, t, result, in)                                                                         \
	do {                                                                                                \
		uint32_t _in;                                                                               \
		struct error _why = { 0 };                                                                  \
                                                                                                            \
		cr_expect_eq(days_ask(lab.state, port, t, &_in, &_why), result, "%d: %s", port, _why.text); \
		cr_expect_eq(_in, in, "%d: %x", port, _in);                                                 \
	} while (0)

#endif
