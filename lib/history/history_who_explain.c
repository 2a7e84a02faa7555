/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_who_private.h"
#include "base/virtual6.h"

#include <detnat/growth.h>
#include <detnat/mapping.h>
#include <detnat/tables.h>

/* Whether a block with the port may be granted: of a size that was. */
static bool may_be_granted(const struct search *s, const struct geometry *g)
{
	const struct who_fact *v;
	uint16_t size = 0;

	for (size_t i = 0; g->ports_per_host && (v = who_facts_number(&s->w->grants, i)); i++) {
		const struct history_grant *grant = (const void *)(v + 1);

		if (grant->ports != size && growth_block_of(g, grant->ports, (uint16_t)s->port) >= 0)
			return true;
		size = grant->ports;
	}
	return false;
}

/* Whether the port was in a granted block at any time. */
static bool was_granted(const struct search *s)
{
	const struct history_grant highest = { .out = s->addr, .port_lo = (uint16_t)s->port };
	size_t end = who_facts_until(&s->w->grants, &highest), i = who_first_grant(s);

	while (i < end && !who_grant_has(s, who_facts_number(&s->w->grants, i)))
		i++;
	return i < end;
}

static enum who_result nobody(const struct search *s, struct error *why)
{
	const struct held *h = s->covers;
	const struct who_unknown *unknown = who_unknown_at(s->w, s->t);
	bool usual = h ? plan_blocks_default(&h->blocks) : !s->w->low_ports;
	struct geometry g;
	char out[INSIDE_TEXT], in[INSIDE_TEXT];

	if (usual && s->port < MAPPING_FIRST_PORT)
		return (enum who_result)error_set(why, WHO_NOBODY, "ports below %u are never given out%s",
						  MAPPING_FIRST_PORT,
						  s->w->portmaps.n ? ", and no portmap had this one" : "");
	if (!h || plan_blocks_geometry(h->in, h->out, &h->blocks, &g))
		return (enum who_result)error_set(why, WHO_NOBODY, "the address was in no mapping");
	inside_prefix_text(h->in, in), prefix_text(h->out, out);
	if (s->w->replicated && may_be_granted(s, &g))
		return (enum who_result)error_set(why, WHO_NO_RECORD,
						  "the port is in the shared range of mapping %s to %s, of which other "
						  "gateways grant blocks, too, and none was recorded here then",
						  in, out);
	if (unknown && g.ports_per_host && growth_block_of(&g, 1, s->port) >= 0)
		return (enum who_result)error_set(why, WHO_NO_RECORD,
						  "the port is in the shared range of mapping %s to %s, and the grants "
						  "of that time have been removed",
						  in, out);
	if (was_granted(s))
		return (enum who_result)error_set(
			why, WHO_NOBODY,
			"the port is in the shared range of mapping %s to %s, and nobody had been granted it then", in,
			out);
	const enum mapping_port kind = mapping_port_kind(&g, s->addr, s->port);

	if (kind == MAPPING_PORT_BELOW)
		return (enum who_result)error_set(why, WHO_NOBODY, "ports below %u of mapping %s to %s are in no block",
						  g.lowest_port, in, out);
	if (kind == MAPPING_PORT_GAP)
		return (enum who_result)error_set(why, WHO_NOBODY,
						  "the port lies between two blocks of mapping %s to %s", in, out);
	if (kind == MAPPING_PORT_SPARE)
		return (enum who_result)error_set(
			why, WHO_NOBODY, "the port is in a block of mapping %s to %s that no subscriber has", in, out);
	return (enum who_result)error_set(
		why, WHO_NOBODY, "the port is one of the remainder of mapping %s to %s, which nobody has", in, out);
}

/* The port was in the block of a subscriber that had another mapping. */
static enum who_result kept(const struct search *s, struct error *why)
{
	const struct held *e = held_exception(&s->w->holdings, s->kept, s->kept_in, s->kept_epoch, s->t);
	struct geometry g;
	char in[INSIDE_TEXT], out[INSIDE_TEXT];

	inside_text(s->kept_in, in);
	if (!e)
		return (enum who_result)error_set(why, WHO_NOBODY,
						  "the port was kept for %s, whose mapping was retired", in);
	if (plan_blocks_geometry(e->in, e->out, &e->blocks, &g))
		return (enum who_result)error_set(why, WHO_NOBODY, "the port was kept for %s, which was not translated",
						  in);
	return (enum who_result)error_set(why, WHO_NOBODY, "the port was kept for %s, which was mapped to %s", in,
					  addr_format(mapping_forward(&g, s->kept_in).out_addr, out));
}

enum who_result who_explain(const struct search *s, struct error *why)
{
	const struct who *w = s->w;
	const struct history_gap *gap = s->gap;
	char from[TIME_TEXT];

	if (!gap && s->kept)
		return kept(s, why);
	if (!gap && (s->covers || (s->port < MAPPING_FIRST_PORT && !w->low_ports && !w->portmaps.n)))
		return nobody(s, why);
	if (w->first_time == TIME_OPEN)
		return (enum who_result)error_set(why, WHO_NO_RECORD,
						  "the history has no record; --state-dir names another directory");
	if (!gap && s->t < w->first_time)
		return (enum who_result)error_set(why, WHO_NO_RECORD, "the history begins at %s",
						  time_format(w->first_time, from));
	gap = gap ? gap : history_gaps_find_any(&w->gaps, s->t);
	if (!gap)
		return nobody(s, why);
	history_gap_explain(gap, why);
	return WHO_NO_RECORD;
}
