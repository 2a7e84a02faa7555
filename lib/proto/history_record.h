/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of the mapping history (RFC 7422): a line of JSON each, chained by checksums. Pure.
 *
 * A line ends in ,"hash":"..."} where the hash is SHA-256, in hexadecimal digits, of the hash of the line before (64
 * zeros before the first) and this line up to that comma. detnat-agent(8) describes the format for others.
 */
#ifndef DETNAT_HISTORY_RECORD_H
#define DETNAT_HISTORY_RECORD_H

#include <stdbool.h>
#include <stdio.h>

#include "base/address.h"
#include "base/base.h"
#include "base/timestamp.h"

#define HISTORY_FILE "history.jsonl"
/* Where the history ends, kept apart, so that a missing end is noticed. */
#define HISTORY_HEAD_FILE "history.head"

/* Raised when a reader of before would misunderstand what is written. */
#define HISTORY_FORMAT 1U

#define HASH_TEXT 65
#define HASH_NONE "0000000000000000000000000000000000000000000000000000000000000000"

/* X(constant, word) */
#define HISTORY_EVENTS(X)                                                            \
	X(EVENT_START, "start")	  /* an agent begins: what is mapped at that time */ \
	X(EVENT_ADD, "add")	  /* a mapping from now on */                        \
	X(EVENT_DEL, "del")	  /* a mapping until now */                          \
	X(EVENT_DAILY, "daily")	  /* what is mapped, without a change */             \
	X(EVENT_UNDO, "undo")	  /* a change that was written did not take place */ \
	X(EVENT_CLOCK, "clock")	  /* the clock was set back */                       \
	X(EVENT_STOP, "stop")	  /* the agent ends, the datapath goes on */         \
	X(EVENT_DETACH, "detach") /* the datapath was removed: nothing is mapped */

enum history_event {
#define X(constant, word) constant,
	HISTORY_EVENTS(X)
#undef X
};

struct history_mapping {
	struct prefix in;
	struct prefix out;
	int64_t from;
};

#define HOST_TEXT 65
#define TIME_NONE INT64_MIN

struct history_record {
	uint64_t line; /* from 1 */
	int64_t time;
	enum history_event event;
	struct history_mapping mapping;	  /* add, del */
	struct history_mapping *mappings; /* start, daily */
	size_t n_mappings;
	int64_t since; /* start: nothing is known from then until now, or TIME_NONE; clock: what it said before */
	uint64_t first, last; /* undo: lines */
	char host[HOST_TEXT]; /* start */
	bool taken_over;      /* start: over a datapath that was there */
};

void history_record_free(struct history_record *r);

/* Writes the record as a line, newline included, chained to the hash prev; the hash of the line in ret_hash. */
int history_record_write(FILE *out, const struct history_record *r, const char prev[static HASH_TEXT],
			 char ret_hash[static HASH_TEXT]);

/*
 * Reads a line of size octets without its newline: 0, or -EINVAL with err saying what is wrong with it, or -ENOMEM. The
 * hash is not looked at.
 */
int history_record_read(const char *line, size_t size, struct history_record *ret, struct error *err);

/*
 * The hash at the end of a line, and whether it is what it should be after prev, which may be the same memory. 0;
 * -EBADMSG where it is not, with *ret as it stands there; -EINVAL where the line has none, with nothing written.
 */
int history_hash_check(const char *line, size_t size, const char prev[static HASH_TEXT], char ret[static HASH_TEXT]);

/* The word of an event. */
const char *history_event_word(enum history_event event);

#endif
