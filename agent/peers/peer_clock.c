/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peer_clock.h"

void peer_clock_note(struct peer_clock *c, uint64_t there_ms, uint64_t here_ms)
{
	c->ahead_ms[c->n++ % PEER_CLOCK_SIGNS] = (int64_t)(there_ms - here_ms);
}

bool peer_clock_ahead(const struct peer_clock *c, int64_t *ret_ms)
{
	if (!c->n)
		return false;
	*ret_ms = c->ahead_ms[0];
	for (unsigned i = 1; i < c->n && i < PEER_CLOCK_SIGNS; i++)
		if (c->ahead_ms[i] > *ret_ms)
			*ret_ms = c->ahead_ms[i];
	return true;
}
