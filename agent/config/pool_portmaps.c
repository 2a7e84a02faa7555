/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps of outside addresses that their subscribers have lost to an edit. */
#include <errno.h>
#include <string.h>

#include "config/pools.h"
#include "config/port_pairs.h"

/* Of a message, what is left for the advice behind the portmaps. */
#define ADVICE_ROOM 160U

/* The outside address of a portmap's subscriber, if the portmap names another one; 0: it does not. */
static uint32_t new_address(const struct config *c, const struct config_portmap *m)
{
	const struct config_mapping *mapping = config_mapping_of(c, m->in.addr);
	struct geometry g;
	uint32_t addr;

	if (!m->out.addr || !mapping || prefix_is_none(mapping->out) ||
	    mapping_geometry(mapping->in.base, mapping->in.plen, mapping->out.base, mapping->out.plen, &g))
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
