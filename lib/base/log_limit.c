/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_limit.h"

#include <stdio.h>
#include <string.h>

#include "base/fnv.h"

/* Level of the lines that report suppressed ones: warning. */
#define LEVEL_OF_ALL 4

/* The place of a line, or a free one: its minute is over and nothing is left to report. */
static struct log_limit_place *find(struct log_limit *l, uint64_t hash, uint64_t now_ns)
{
	struct log_limit_place *vacant = NULL;

	for (size_t i = 0; i < LOG_LIMIT_PLACES; i++) {
		struct log_limit_place *p = &l->places[i];

		if (p->until_ns && p->hash == hash && (p->until_ns > now_ns || p->withheld))
			return p;
		if (p->until_ns <= now_ns && !p->withheld)
			vacant = p;
	}
	if (vacant)
		*vacant = (struct log_limit_place){ .until_ns = now_ns + LOG_LIMIT_NS, .hash = hash };
	return vacant;
}

/* A line without a place is only limited by LOG_LIMIT_ALL. */
static bool same_allowed(struct log_limit_place *p, int level, const char *text)
{
	if (!p || p->said < LOG_LIMIT_SAME) {
		if (p)
			p->said++;
		return true;
	}
	if (!p->withheld++) {
		p->level = level;
		snprintf(p->text, sizeof(p->text), "%s", text);
	}
	return false;
}

bool log_limit_ask(struct log_limit *l, int level, const char *text, uint64_t now_ns)
{
	if (l->until_ns <= now_ns && !l->withheld) {
		l->until_ns = now_ns + LOG_LIMIT_NS;
		l->said = 0;
	}
	if (!same_allowed(find(l, fnv1a(FNV1A_BEGIN ^ (uint64_t)level, text, strlen(text)), now_ns), level, text))
		return false;
	if (l->said < LOG_LIMIT_ALL) {
		l->said++;
		return true;
	}
	l->withheld++;
	return false;
}

bool log_limit_tell(struct log_limit *l, uint64_t now_ns, int *ret_level, char *text, size_t size)
{
	for (size_t i = 0; i < LOG_LIMIT_PLACES; i++) {
		struct log_limit_place *p = &l->places[i];

		if (!p->withheld || p->until_ns > now_ns)
			continue;
		snprintf(text, size, "%u more times within a minute: %s", p->withheld, p->text);
		*ret_level = p->level;
		*p = (struct log_limit_place){ 0 };
		return true;
	}
	if (!l->withheld || l->until_ns > now_ns)
		return false;
	snprintf(text, size, "%u lines were left out: there were more than %u within a minute", l->withheld,
		 LOG_LIMIT_ALL);
	*ret_level = LEVEL_OF_ALL;
	l->withheld = 0;
	l->until_ns = 0;
	return true;
}
