/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "tables/ranges.h"

void ranges_init(struct ranges *r, uint64_t size)
{
	*r = (struct ranges){ .size = size };
}

void ranges_free_all(struct ranges *r)
{
	free(r->used);
	ranges_init(r, r->size);
}

static int insert(struct ranges *r, size_t at, uint64_t first, uint64_t count)
{
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct range *used = realloc(r->used, room * sizeof(*used));

		if (!used)
			return -ENOMEM;
		r->used = used;
		r->room = room;
	}
	memmove(&r->used[at + 1], &r->used[at], (r->n - at) * sizeof(*r->used));
	r->used[at] = (struct range){ first, count };
	r->n++;
	return 0;
}

/* Index of the first range that ends above a number. */
static size_t position(const struct ranges *r, uint64_t from)
{
	return count_while(i, r->n, r->used[i].first + r->used[i].count <= from);
}

int ranges_alloc(struct ranges *r, uint64_t count, uint64_t align, uint64_t *ret_first)
{
	uint64_t end = 0; /* of the range before the current gap */

	if (!count || !align)
		return -EINVAL;
	for (size_t i = 0; i <= r->n; i++) {
		uint64_t gap_end = i < r->n ? r->used[i].first : r->size;
		uint64_t first = (end + align - 1) / align * align;

		if (first <= gap_end && count <= gap_end - first) {
			int error = insert(r, i, first, count);

			if (!error)
				*ret_first = first;
			return error;
		}
		if (i < r->n)
			end = r->used[i].first + r->used[i].count;
	}
	return -ENOSPC;
}

int ranges_take(struct ranges *r, uint64_t first, uint64_t count)
{
	if (!count)
		return -EINVAL;
	if (first >= r->size || count > r->size - first)
		return -ERANGE;

	size_t i = position(r, first);

	if (i < r->n && r->used[i].first < first + count)
		return -EEXIST;
	return insert(r, i, first, count);
}

int ranges_give(struct ranges *r, uint64_t first, uint64_t count)
{
	size_t i = position(r, first);

	if (i == r->n || r->used[i].first != first || r->used[i].count != count)
		return -ENOENT;
	r->n--;
	memmove(&r->used[i], &r->used[i + 1], (r->n - i) * sizeof(*r->used));
	return 0;
}

bool ranges_next(const struct ranges *r, uint64_t from, struct range *ret)
{
	size_t i = position(r, from);

	if (i == r->n)
		return false;
	*ret = r->used[i];
	return true;
}
