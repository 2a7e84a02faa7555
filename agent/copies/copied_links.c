/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mapping here is one that a peer has shown. */
#include <string.h>

#include "copies/copying_private.h"

const struct copied_mapping *copied_ours_of(const struct copying *c, const struct shown_mapping *s)
{
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		if (c->mapping[i].used && prefix_equal(c->mapping[i].in, s->in) &&
		    prefix_equal(c->mapping[i].out, s->out))
			return &c->mapping[i];
	return NULL;
}

void copied_tables_link(struct copying *c, unsigned peer)
{
	struct copying_peer *p = &c->peer[peer];

	memset(p->ours, 0xff, sizeof(p->ours));
	memset(p->exchanged, 0, sizeof(p->exchanged));
	for (uint32_t i = 0; i < p->n_shown; i++) {
		struct shown_mapping *s = &p->shown[i];
		const struct copied_mapping *cm = copied_ours_of(c, s);

		s->ours = -1;
		if (cm && cm->tables.digest == s->digest)
			s->ours = (int16_t)cm->number;
		p->ours[s->number] = s->ours;
		if (s->ours >= 0)
			p->exchanged[s->ours] = true;
	}
}
