/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mappings pool drain and user move have made, and of whose subscribers. */
#include <string.h>

#include "config/pools.h"

static bool is_drain_name(const char *name)
{
	const size_t begin = strlen(POOL_DRAIN_NAME);
	char addr[LABEL_TEXT];
	uint32_t parsed;

	if (strncmp(name, POOL_DRAIN_NAME, begin) != 0)
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(name + begin, "-"), name + begin);
	return !addr_parse(addr, &parsed);
}

bool pool_is_drain(const struct config *c, const struct config_mapping *m, const struct config_mapping *of)
{
	const struct config_mapping *around = config_find_around(c, m->in);

	return is_drain_name(m->name) && around && prefix_equal(around->in, of->in) && !prefix_is_none(m->out) &&
	       m->out.plen - m->in.plen == of->out.plen - of->in.plen;
}

bool pool_is_move(const struct config *c, const struct config_mapping *m)
{
	const struct config_mapping *around = config_find_around(c, m->in);
	const struct config_independence *a = &m->independence, *b = around ? &around->independence : NULL;

	if (m->in.plen < 32 || prefix_is_none(m->out) || !around || prefix_is_none(around->out))
		return false;
	if (m->until || !strncmp(m->name, USER_MOVE_NAME, strlen(USER_MOVE_NAME)))
		return true;
	return !m->comment[0] && !m->n_spare && m->inbound == around->inbound &&
	       m->sessions_per_user == around->sessions_per_user && m->session_slots == around->session_slots &&
	       a->given == b->given && a->mapping == b->mapping && a->filtering == b->filtering &&
	       a->inbound_sessions == b->inbound_sessions;
}

const struct config_mapping *pool_home(const struct config *c, const struct config_mapping *m)
{
	const struct config_mapping *around;

	while ((around = config_find_around(c, m->in)) && (pool_is_move(c, m) || pool_is_drain(c, m, around)))
		m = around;
	return m;
}
