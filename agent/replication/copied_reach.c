/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mapping has which inside addresses: of those that it has not, it takes no copies. */
#include <string.h>

#include "replication/copying_private.h"

static bool had(const struct copying *c, const struct inside_run *run)
{
	size_t i = inside_run_at(c->reach, c->n_reach, run->first);
	const struct inside_run *before = c->reach + i;

	return i < c->n_reach && before->number == run->number && before->first <= run->first &&
	       before->last >= run->last;
}

static size_t read_reach(const struct mappings *m, struct inside_run *ret)
{
	size_t n = 0;

	for (uint64_t at = 0; at <= UINT32_MAX; at = (uint64_t)ret[n++].last + 1) {
		int number = mappings_next_inside(m, (uint32_t)at, &ret[n].first, &ret[n].last);

		if (number < 0)
			break;
		ret[n].number = (uint16_t)number;
	}
	return n;
}

bool copied_reach_grows(struct copying *c)
{
	struct inside_run now[INSIDE_RUNS(MAX_MAPPINGS) + 1];
	size_t n = read_reach(c->m, now);
	bool grows = false;

	for (size_t i = 0; i < n; i++) {
		struct copied_mapping *cm = copied_mapping(c, now[i].number);

		if (!cm || had(c, &now[i]))
			continue;
		cm->begun = c->generation + 1;
		grows = true;
	}
	memcpy(c->reach, now, n * sizeof(*now));
	c->n_reach = n;
	c->reach_stale = false;
	return grows;
}
