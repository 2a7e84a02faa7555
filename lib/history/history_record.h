/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of the mapping history (RFC 7422): one line of JSON each, chained as base/chain.h says. detnat-agent(8)
 * documents the format. Pure functions.
 */
#ifndef DETNAT_HISTORY_RECORD_H
#define DETNAT_HISTORY_RECORD_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/base.h"
#include "base/chain.h"
#include "base/clock_state.h"
#include "base/timestamp.h"
#include "history/history_by.h"
#include "history/history_facts.h"
#include "history/history_times.h"

#define HISTORY_FILE "history.jsonl"
/* Contains the end of the history, so that missing lines at the end are detected. */
#define HISTORY_HEAD_FILE "history.head"

/*
 * Raised when older readers would misunderstand new records. 3: that of 1.0.0, the first that was released. 4: a
 * mapping may have other blocks than the defaults, and ranges that are no prefixes. Lines without such mappings are as
 * in format 3, and say so. 5: there are grants; a start without any has an earlier format. 6: there are tenants, of
 * whom several may have the same inside addresses. 7: grants are in files of their days. 8: subscribers of a mapping
 * may be IPv6 prefixes, to which it gives virtual addresses.
 */
#define HISTORY_FORMAT		8ULL
#define HISTORY_FORMAT_IPV6	8ULL
#define HISTORY_FORMAT_DAYS	7ULL
#define HISTORY_FORMAT_TENANTS	6ULL
#define HISTORY_FORMAT_GRANTS	5ULL
#define HISTORY_FORMAT_BLOCKS	4ULL
#define HISTORY_FORMAT_CONFIRMS 3ULL

#define HOST_TEXT 65
/* A random UUID (RFC 9562), made with the directory; of a history that an earlier version began, with its next start.
 */
#define GATEWAY_TEXT 37

struct history_record {
	uint64_t line; /* from 1 */
	int64_t time;
	enum history_event event;
	union { /* what it begins or ends */
#define X(constant, fact, interval, one, many) struct fact one;
		FACTS(X)
#undef X
	};
	bool ends; /* of events that begin and end */
	/* Of a grant that is in a day's file: the line there that says the same, 0: none does; and that line's hash. */
	uint64_t day_line;
	char day_hash[HASH_TEXT];
	/* Lists: start, daily; grants: of the event of that name. */
	union {
		struct {
#define X(constant, fact, interval, one, many) struct fact *many;
			FACTS(X)
#undef X
		};
		void *facts[FACT_KINDS];
	};
	union {
		struct {
#define X(constant, fact, interval, one, many) size_t n_##many;
			FACTS(X)
#undef X
		};
		size_t n_facts[FACT_KINDS];
	};
	uint64_t part;	   /* grants: number of this line of the list, from 1 */
	uint64_t n_listed; /* start, daily: grants in the lines before it, which belong to the list */
	int64_t since; /* start: nothing is known from then until now, or TIME_NONE; clock: the latest possible reading
			  before it was set */
	int64_t after; /* clock: the earliest possible reading after that */
	int64_t until; /* confirm: the lines had taken effect by then; undo: they had been taken back by then */
	uint64_t first, last;	    /* undo, confirm: line numbers */
	uint64_t format;	    /* start: as read; 0 is written as the lowest that will do */
	char host[HOST_TEXT];	    /* start */
	char gateway[GATEWAY_TEXT]; /* start; "": not recorded */
	bool taken_over;	    /* start: took over an existing datapath */
	bool days;		    /* start: grants are in files of their days from here on, or some of the list are */
	/* start, daily, confirm, stop, detach: the worst since the line before that has it. */
	struct clock_state clock;
	struct history_by by; /* of changes, and of a list that says a new name */
};

void history_record_free(struct history_record *r);

/* The fact that a record begins or ends, and its kind; NULL: none. */
void *history_record_fact(struct history_record *r, enum fact_kind *ret_kind);

/* Whether it ends. */
bool history_record_ends(const struct history_record *r);

/* Writes the record as the line after a tip, which moves to it. 0 or -ENOMEM: the stream is one in memory. */
int history_record_write(FILE *out, const struct history_record *r, struct chain_tip *tip);

/*
 * Reads a line of size octets, without its newline. Returns 0, -EINVAL with err naming the fault, or -ENOMEM. Does not
 * check the hash.
 */
int history_record_read(const char *line, size_t size, struct history_record *ret, struct error *err);

/* Whether a text is a gateway's name. */
bool history_gateway_valid(const char *text);

/* Returns the word for an event. */
const char *history_event_word(enum history_event event);

#endif
