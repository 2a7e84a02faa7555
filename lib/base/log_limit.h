/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps a recurring problem from filling the log: the same line is written at most LOG_LIMIT_SAME times a minute, and
 * at most LOG_LIMIT_ALL lines in total. The rest is counted, and the count is written when the minute is over. Pure:
 * the caller supplies the time.
 */
#ifndef DETNAT_LOG_LIMIT_H
#define DETNAT_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LIMIT_SAME	 5U
#define LOG_LIMIT_ALL	 2000U
#define LOG_LIMIT_PLACES 64U
#define LOG_LIMIT_TEXT	 200U
#define LOG_LIMIT_NS	 (60 * 1000000000ULL)

struct log_limit_place {
	uint64_t until_ns; /* 0: free */
	uint64_t hash;
	uint32_t said;
	uint32_t withheld;
	int level;
	char text[LOG_LIMIT_TEXT]; /* beginning of the line */
};

/* Zero-initialised. */
struct log_limit {
	struct log_limit_place places[LOG_LIMIT_PLACES];
	uint64_t until_ns;
	uint32_t said;
	uint32_t withheld; /* lines over the total limit, or without a place */
};

/* Whether the line may be written. now_ns: from a monotonic clock. */
bool log_limit_ask(struct log_limit *l, int level, const char *text, uint64_t now_ns);

/*
 * Reports lines suppressed in a minute that is over: true with one line and its level. Call it once a second, each
 * time until it returns false.
 */
bool log_limit_tell(struct log_limit *l, uint64_t now_ns, int *ret_level, char *text, size_t size);

#endif
