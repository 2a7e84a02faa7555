// SPDX-License-Identifier: BSD-2-Clause
/* Findings about blocks that grow. */
#include <stdio.h>
#include <string.h>

#include "base/trouble.h"
#include "base/virtual6.h"
#include "diagnosis/explain_private.h"
#include "tables/grant_table.h"

bool explain_is_shared(const struct parts *a, int number, struct endpoint out)
{
	const struct mapping *m = number < 0 ? NULL : mappings_get(a->mappings, number);

	/* Also one of a size that the mapping has no more. */
	return m && ((m->growth.block && growth_block_of(&m->geo, m->growth.block, out.port) >= 0) ||
		     (a->grants && grants_at(a->grants, out.addr, out.port)));
}

const char *explain_not_granted(const struct parts *a, struct endpoint out, char text[static NO_BLOCK_TEXT])
{
	const struct grant *i = grants_at(a->grants, out.addr, out.port);

	snprintf(text, NO_BLOCK_TEXT, "%s",
		 i && i->state == GRANT_RESTS ? "it is of a block that was granted, and rests"
					      : "it is of the shared range, and is not granted");
	return text;
}

static bool is_owned(const struct grant *i)
{
	return i->state == GRANT_OPEN || i->state == GRANT_CLOSED;
}

uint32_t explain_granted_ports(const struct explanation *e)
{
	const struct grants *g = e->context->grants;
	uint32_t ports = 0;

	for (const struct grant *i = g ? grants_of(g, explain_place(e), NULL) : NULL; i;
	     i = grants_of(g, explain_place(e), i))
		ports += is_owned(i) && i->out_addr == e->block.out_addr ? i->ports : 0;
	return ports;
}

const char *explain_no_growth(const struct explanation *e, const char **ret_reason)
{
	const struct grants *g = e->context->grants;
	const struct growth_layout *l = &e->mapping->growth;

	*ret_reason = "drop_growth_exhausted";
	if (g && grants_number(g, e->in_addr, e->block.out_addr, l->max_blocks) < 0)
		return "it has max_blocks of them already";
	if (g && grants_none_left(g, e->block.out_addr))
		return "its outside address has none left";
	*ret_reason = "drop_ports_exhausted";
	return trouble_get(TROUBLE_HISTORY) ? "the mapping history cannot be written" : NULL;
}

/* "203.0.113.1:58368-58495, ..." */
#define BLOCKS_TEXT 512

static unsigned blocks_text(const struct explanation *e, char text[static BLOCKS_TEXT])
{
	const struct grants *g = e->context->grants;
	char out[INSIDE_TEXT];
	size_t n = 0;
	unsigned blocks = 0;

	text[0] = '\0';
	for (const struct grant *i = g ? grants_of(g, explain_place(e), NULL) : NULL; i;
	     i = grants_of(g, explain_place(e), i)) {
		if (!is_owned(i))
			continue;
		if (n < BLOCKS_TEXT)
			n += (size_t)snprintf(text + n, BLOCKS_TEXT - n, "%s%s:%u-%u", blocks ? ", " : "",
					      addr_format(i->out_addr, out), i->port_lo, i->port_lo + i->ports - 1U);
		blocks++;
	}
	return blocks;
}

void explain_add_growth(const struct explanation *e, cJSON *list)
{
	char addr[INSIDE_TEXT], blocks[BLOCKS_TEXT];
	unsigned n = blocks_text(e, blocks);
	const char *reason, *why = e->mapping->growth.block ? explain_no_growth(e, &reason) : NULL;

	inside_text(e->in_addr, addr);
	if (n)
		explain_add(list, false, "granted", "detnatctl grant list shows them, grant revoke takes one back",
			    "%s has %u granted block%s beside its own: %s", addr, n, n == 1 ? "" : "s", blocks);
	if (why)
		explain_add(list, false, reason,
			    "max_blocks and block in growth of the mapping, or ports_per_host, leave more; detnatctl "
			    "status tells troubles",
			    "%s gets no further block when its ports are in use: %s", addr, why);
}
