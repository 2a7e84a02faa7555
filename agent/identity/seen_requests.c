/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/seen_requests.h"

#include <stddef.h>
#include <stdlib.h>

#define WAYS 4U

struct seen_place {
	uint64_t key;
	uint64_t until_us; /* 0: free */
	bool answered;
};

static struct seen_place *set_of(const struct seen_requests *s, uint64_t key)
{
	return &s->place[key % SEEN_PLACES / WAYS * WAYS];
}

static struct seen_place *find(const struct seen_requests *s, uint64_t key)
{
	struct seen_place *set = s->place ? set_of(s, key) : NULL;

	for (unsigned i = 0; set && i < WAYS; i++)
		if (set[i].until_us && set[i].key == key)
			return &set[i];
	return NULL;
}

enum seen seen_ask(const struct seen_requests *s, uint64_t key, uint64_t now_us)
{
	const struct seen_place *p = find(s, key);

	if (!p || p->until_us <= now_us)
		return SEEN_NOT;
	return p->answered ? SEEN_ANSWERED : SEEN_WAITING;
}

static struct seen_place *oldest(const struct seen_requests *s, uint64_t key)
{
	struct seen_place *set = set_of(s, key), *found = set;

	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].until_us < found->until_us)
			found = &set[i];
	return found;
}

void seen_note(struct seen_requests *s, uint64_t key, uint64_t now_us, bool answered)
{
	struct seen_place *p;

	if (!s->place)
		s->place = calloc(SEEN_PLACES, sizeof(*s->place));
	if (!s->place)
		return;
	p = find(s, key);
	p = p ? p : oldest(s, key);
	*p = (struct seen_place){ .key = key,
				  .until_us = answered ? now_us + SEEN_US : UINT64_MAX,
				  .answered = answered };
}

void seen_free(struct seen_requests *s)
{
	free(s->place);
	s->place = NULL;
}
