// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_set.h"

#include <string.h>

#include "base/search.h"

/* Index of the first range that ends at or above an address. */
static size_t at_or_above(const struct import_set *s, uint32_t addr)
{
	return count_while(i, s->list.n, s->list.range[i].last < addr);
}

/* Puts n ranges in place of the ranges from..to-1. */
static void replace(struct import_set *s, size_t from, size_t to, const struct import_range *with, size_t n)
{
	size_t left = s->list.n - to, total = from + n + left;

	if (total > s->list.room) {
		size_t room = 2 * total + 8;
		struct import_range *range = realloc(s->list.range, room * sizeof(*range));

		if (!range) {
			s->failed = true;
			return;
		}
		s->list.range = range;
		s->list.room = room;
	}
	if (left)
		memmove(s->list.range + from + n, s->list.range + to, left * sizeof(*with));
	for (size_t i = 0; i < n; i++)
		s->list.range[from + i] = with[i];
	s->list.n = total;
}

void import_set_add(struct import_set *s, struct import_range r)
{
	size_t from = at_or_above(s, r.first ? r.first - 1 : 0), to = from;

	while (to < s->list.n && s->list.range[to].first <= (uint64_t)r.last + 1) {
		if (s->list.range[to].first < r.first)
			r.first = s->list.range[to].first;
		if (s->list.range[to].last > r.last)
			r.last = s->list.range[to].last;
		to++;
	}
	replace(s, from, to, &r, 1);
}

void import_set_remove(struct import_set *s, struct import_range r)
{
	size_t from = at_or_above(s, r.first), to = from, n = 0;
	struct import_range rest[2];

	while (to < s->list.n && s->list.range[to].first <= r.last)
		to++;
	if (to == from)
		return;
	if (s->list.range[from].first < r.first)
		rest[n++] = (struct import_range){ s->list.range[from].first, r.first - 1 };
	if (s->list.range[to - 1].last > r.last)
		rest[n++] = (struct import_range){ r.last + 1, s->list.range[to - 1].last };
	replace(s, from, to, rest, n);
}

void import_set_common(const struct import_set *s, struct import_range r, struct import_set *to)
{
	for (size_t i = at_or_above(s, r.first); i < s->list.n && s->list.range[i].first <= r.last; i++) {
		struct import_range c = s->list.range[i];

		if (c.first < r.first)
			c.first = r.first;
		if (c.last > r.last)
			c.last = r.last;
		import_set_add(to, c);
	}
}
