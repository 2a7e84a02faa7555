/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keeps a trouble that comes back all the time from filling the log: the same line is written LOG_LIMIT_SAME times
 * a minute, and LOG_LIMIT_ALL lines a minute are written of all. The rest is counted, and the count is written when the
 * minute is over. Pure: the caller has the clock.
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
	char text[LOG_LIMIT_TEXT]; /* of the line, as far as it goes */
};

/* Zeroed to begin with. */
struct log_limit {
	struct log_limit_place places[LOG_LIMIT_PLACES];
	uint64_t until_ns;
	uint32_t said;
	uint32_t withheld; /* for all were too many, or there was no place left to remember them by */
};

/* Whether the line may be written; now_ns: of a clock that never goes back. */
bool log_limit_ask(struct log_limit *l, int level, const char *text, uint64_t now_ns);

/*
 * What was withheld in a minute that is over: true with one line of it in text, and its level; to be called until it
 * says false, once a second.
 */
bool log_limit_tell(struct log_limit *l, uint64_t now_ns, int *ret_level, char *text, size_t size);

#endif
