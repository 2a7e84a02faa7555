/* SPDX-License-Identifier: BSD-2-Clause */
/* The customer who had an inside address at a time, from the files of leases; part of the answers of who. */
#ifndef DETNATCTL_CUSTOMER_H
#define DETNATCTL_CUSTOMER_H

#include "command.h"
#include "history/history_who.h"
#include "leases/lease_files.h"

/* Seconds around the question that are looked at unless --margin says otherwise. */
#define DEFAULT_MARGIN 60U
#define MARGIN_MAX     3600U

/* A time, or `open` for one that has not come. */
static inline const char *time_or(int64_t t, const char *open, char text[static TIME_TEXT])
{
	return t == TIME_OPEN ? open : time_format(t, text);
}

/* Zero-initialised: customers are not asked for. */
struct customers {
	struct lease_index *index; /* NULL: not asked for */
	int64_t margin;
};

struct customer {
	struct lease_answer lease; /* with LEASE_NO_RECORD and no holder where there is no inside address */
	bool same;		   /* the seconds around have the same answer */
};

/*
 * Reads the leases that the arguments name with --leases, or those in the directory of the history if there are any.
 * only: those of one inside address, NULL: all. Returns an exit status, with err set unless it is 0.
 */
int customers_open(const cJSON *args, const char *state_dir, const struct lease_addr *only, struct customers *ret,
		   struct error *err);
void customers_close(struct customers *c);

/* Whether one inside address had an endpoint in all the seconds around a question, so that its leases are enough. */
bool customers_one_address(const struct customers *c, const struct who_answer *a, int64_t t);

/* Seconds around a question. */
int64_t customers_margin(const cJSON *args);

/* The customer behind the answer to a question. */
void customer_find(const struct customers *c, struct who *who, struct endpoint out, int64_t t, enum who_result result,
		   const struct who_answer *a, struct customer *ret);

/* The customer behind an inside address that had the endpoint of a question from a time to another. */
void customer_of(const struct customers *c, uint32_t in_addr, int64_t from, int64_t to, int64_t t,
		 struct customer *ret);

/* ,"customer":...,"customer_reason":...,"margin":{...}, and with several customers "customers":[...] */
void customer_print(FILE *out, const struct customers *c, const struct customer *found);

/* Lines of text about a customer; for the inside address of an answer. */
void customer_show(struct writer *w, const struct customers *c, const struct customer *found, uint32_t in_addr);

/*
 * One customer as text, his words between quotes: "alice", circuit "ge-0/0/1.100". With code points beside those that
 * are not ASCII alone, if `points`. The caller frees it; NULL: out of memory.
 */
char *customer_name(const struct lease_holder *h, bool points);

/* Why there is no customer, as text; NULL: there is one. */
#define CUSTOMER_MISSING 96
const char *customer_missing(const struct customer *found, char text[static CUSTOMER_MISSING]);

#endif
