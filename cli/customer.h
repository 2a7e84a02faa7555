/* SPDX-License-Identifier: BSD-2-Clause */
/* The customer who had an inside address at a time, from the files of leases; part of the answers of who. */
#ifndef DETNATCTL_CUSTOMER_H
#define DETNATCTL_CUSTOMER_H

#include "command.h"
#include "history/history_who.h"
#include "leases/lease_days.h"

/* Seconds around the question that are looked at unless --margin says otherwise. */
#define DEFAULT_MARGIN 60U
#define MARGIN_MAX     3600U

/* A time, or `open` for one that has not come. */
static inline const char *time_or(int64_t t, const char *open, char text[static TIME_TEXT])
{
	return t == TIME_OPEN ? open : time_format(t, text);
}

/* ,"key":"time", or null for a time that is not known or has not come. */
static inline void customer_print_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t == TIME_OPEN || t == TIME_NONE)
		fprintf(out, ",\"%s\":null", key);
	else
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

/* Zero-initialised: customers are not asked for. */
struct customers {
	struct lease_days *days; /* NULL: not asked for */
	int64_t margin; /* seconds around a question that are looked at: as asked for, and the clock's error at that
			   time */
	int64_t asked;
	struct statements **kept; /* of the last answer, whose texts they have */
	size_t n_kept;
	struct error err; /* why leases could not be read; "": they could */
};

/* Who may have been behind an answer, of all the subscribers that it names. Valid until the next question. */
struct customer {
	struct lease_answer lease;
	uint32_t in_addr[LEASE_HOLDERS]; /* of each holder */
	bool asked;			 /* there was an inside address to ask about */
	bool same;			 /* the seconds around have the same answer */
};

/*
 * Opens the leases that the arguments name with --leases, or those in the directory of the history if there are any.
 * Returns an exit status, with err set unless it is 0.
 */
int customers_open(const cJSON *args, const char *state_dir, struct customers *ret, struct error *err);
void customers_close(struct customers *c);

/* Seconds around a question, as the arguments say. */
int64_t customers_margin(const cJSON *args);

/* The second that is asked about next may have been one earlier or later, by as much as the clock was wrong. */
void customers_set_margin(struct customers *c, struct clock_state clock);

/* The customer behind all the subscribers that the answer to a question names. */
void customer_find(struct customers *c, struct who *who, struct endpoint out, int64_t t, enum who_result result,
		   const struct who_answer *a, struct customer *ret);

/* The customer behind an inside address of a tenant (NULL: of any) that had what was asked about from a time to
 * another. */
void customer_of(struct customers *c, uint32_t in_addr, const char *tenant, int64_t from, int64_t to, int64_t t,
		 struct customer *ret);

/* ,"customer":...,"margin":{...}, and where that is null "customer_reason":..., "customer_doubt":... "customers":[...]
 */
void customer_print(FILE *out, const struct customers *c, const struct customer *found);

/* Lines of text about a customer; for the inside address of an answer. */
void customer_show(struct writer *w, const struct customers *c, const struct customer *found, uint32_t in_addr);

/*
 * One customer as text, his words between quotes: "alice", circuit "ge-0/0/1.100". With code points beside those that
 * are not ASCII alone, if `points`. The caller frees it; NULL: out of memory.
 */
char *customer_name(const struct lease_holder *h, bool points);

/* At the end of a row: ; customer "alice"; "" if none is asked for. The caller frees it; NULL: out of memory. */
char *customer_row(const struct customers *c, const struct customer *found);

/* Why no customer is certain, as text; NULL: one is. */
#define CUSTOMER_MISSING 96
const char *customer_missing(const struct customer *found, char text[static CUSTOMER_MISSING]);

/* The same as a word: no-lease, two-leases, perhaps, no-record, erased; NULL: one is. */
const char *customer_reason(const struct customer *found);

#endif
