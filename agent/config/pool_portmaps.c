/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps of outside addresses that their subscribers lose through an edit. */
#include <errno.h>
#include <string.h>

#include "config/pools.h"
#include "config/port_pairs.h"

/* Space in a message for the advice after the portmaps. */
#define ADVICE_ROOM 160U

/* The outside address of a portmap's subscriber, if the portmap names another one; else 0. */
static uint32_t new_address(const struct config *c, const struct config_portmap *m)
{
	const struct config_mapping *mapping = config_mapping_of_portmap(c, m);
	struct geometry g;
	uint32_t addr;

	if (!m->out.addr || !mapping || prefix_is_none(mapping->out) || config_mapping_geometry(mapping, &g))
		return 0;
	addr = mapping_out_addr(&g, mapping_subscriber(&g, m->in.addr));
	return addr == m->out.addr ? 0 : addr;
}

static int refuse(const struct config *c, const char *advice, struct error *err)
{
	unsigned more = 0, named = 0;
	size_t n;

	error_set(err, 0, "portmaps name addresses that their subscribers lose: ");
	for (size_t i = 0; i < c->n_portmaps; i++) {
		const struct config_portmap *m = &c->portmaps[i];
		char out[PORTMAP_OUT_TEXT];

		n = strlen(err->text);
		if (!new_address(c, m))
			continue;
		if (n + sizeof(m->name) + sizeof(out) + ADVICE_ROOM > sizeof(err->text)) {
			more++;
			continue;
		}
		portmap_out_format(c, m, out);
		snprintf(err->text + n, sizeof(err->text) - n, *m->name ? "%s%s (%s)" : "%s%s%s", named++ ? ", " : "",
			 m->name, out);
	}
	n = strlen(err->text);
	if (more)
		snprintf(err->text + n, sizeof(err->text) - n, " and %u more", more);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, "; %s", advice);
	return -EEXIST;
}

int pool_portmaps(struct config *c, enum portmaps_fate fate, const char *advice, uint32_t *ret_n, struct error *err)
{
	size_t kept = 0;
	uint32_t n = 0;

	if (config_own_portmaps(c))
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n_portmaps; i++) {
		struct config_portmap m = c->portmaps[i];
		uint32_t addr = new_address(c, &m);

		if (addr && fate == PORTMAPS_IN_THE_WAY)
			return refuse(c, advice, err);
		n += addr != 0;
		if (addr && fate == PORTMAPS_DELETE)
			continue;
		if (addr)
			m.out.addr = addr;
		c->portmaps[kept++] = m;
	}
	c->n_portmaps = kept;
	*ret_n = n;
	return 0;
}

/* Which mappings pool drain and user move have made, and for whose subscribers. */

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
	const struct config_mapping *around = config_find_around(c, m->tenant, m->in);

	struct geometry own, other;

	return is_drain_name(m->name) && around && config_same_tenant(around, of) && prefix_equal(around->in, of->in) &&
	       !prefix_is_none(m->out) && !config_mapping_geometry(m, &own) && !config_mapping_geometry(of, &other) &&
	       own.ratio == other.ratio;
}

bool pool_is_move(const struct config *c, const struct config_mapping *m)
{
	const struct config_mapping *around = config_find_around(c, m->tenant, m->in);
	const struct config_independence *a = &m->independence, *b = around ? &around->independence : NULL;
	struct limit_layout own, outer;

	if (m->in.plen != 32 || prefix_is_none(m->out) || !around || prefix_is_none(around->out))
		return false;
	if (m->until || !strncmp(m->name, USER_MOVE_NAME, strlen(USER_MOVE_NAME)))
		return true;
	own = config_mapping_limits(m);
	outer = config_mapping_limits(around);
	return !m->comment[0] && !m->n_spare && limit_layout_same(&own, &outer) && m->inbound == around->inbound &&
	       m->sessions_per_user == around->sessions_per_user && m->session_slots == around->session_slots &&
	       a->given == b->given && a->mapping == b->mapping && a->filtering == b->filtering &&
	       a->inbound_sessions == b->inbound_sessions;
}

const struct config_mapping *pool_home(const struct config *c, const struct config_mapping *m)
{
	const struct config_mapping *around;

	while ((around = config_find_around(c, m->tenant, m->in)) &&
	       (pool_is_move(c, m) || pool_is_drain(c, m, around)))
		m = around;
	return m;
}
