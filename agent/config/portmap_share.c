/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/portmap_share.h"

#include <stdlib.h>

#include "base/search.h"

/* An index pays from the second change on that leaves the portmaps as they are; each looks at them a few times. */
#define LOOKS 8U

struct portmap_share *portmap_share_new(void)
{
	return calloc(1, sizeof(struct portmap_share));
}

bool portmap_share_end(struct portmap_share *s)
{
	if (s && s->sharers) {
		s->sharers--;
		return false;
	}
	portmap_share_changes(s);
	free(s);
	return true;
}

void portmap_share_changes(struct portmap_share *s)
{
	if (!s)
		return;
	free(s->place);
	s->place = NULL;
	s->n = s->asked = 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct portmap_place *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static bool make_index(const struct config *c, struct portmap_share *s)
{
	if (s->place && s->n == c->n_portmaps)
		return true;
	if (s->asked++ < LOOKS)
		return false;
	free(s->place);
	s->place = calloc(c->n_portmaps + 1, sizeof(*s->place));
	if (!s->place)
		return false;
	s->n = c->n_portmaps;
	for (size_t i = 0; i < s->n; i++)
		s->place[i] = (struct portmap_place){ c->portmaps[i].in.addr, (uint32_t)i };
	qsort(s->place, s->n, sizeof(*s->place), by_addr);
	return true;
}

struct portmap_look portmap_look_begin(const struct config *c, uint32_t first, uint32_t last)
{
	struct portmap_look l = { .config = c, .first = first, .last = last };
	struct portmap_share *s = c->portmap_share;

	if (s && make_index(c, s)) {
		l.index = s;
		l.at = count_while(i, s->n, s->place[i].addr < first);
	}
	return l;
}

bool portmap_look_next(struct portmap_look *l, size_t *ret)
{
	const struct config *c = l->config;

	if (l->index) {
		if (l->at >= l->index->n || l->index->place[l->at].addr > l->last)
			return false;
		*ret = l->index->place[l->at++].number;
		return true;
	}
	while (l->at < c->n_portmaps && (c->portmaps[l->at].in.addr < l->first || c->portmaps[l->at].in.addr > l->last))
		l->at++;
	*ret = l->at;
	return l->at++ < c->n_portmaps;
}
