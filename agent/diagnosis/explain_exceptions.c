// SPDX-License-Identifier: BSD-2-Clause
/* Findings about mappings within others, and those without sessions. */
#include <stdarg.h>
#include <stdio.h>

#include "diagnosis/explain_private.h"
#include "base/virtual6.h"
#include "tables/mapping_drains.h"

bool explain_kept(const struct parts *a, int number, uint32_t in_addr, char text[static KEPT_TEXT])
{
	int holder = mappings_find_inside(a->mappings, mappings_get(a->mappings, number)->tenant, in_addr);
	const struct mapping *m = holder < 0 || holder == number ? NULL : mappings_get(a->mappings, holder);
	char in[INSIDE_TEXT], out[INSIDE_TEXT], title[MAPPING_TITLE];
	const struct geometry *g;

	if (!m || mappings_drain_of(a->mappings, number, in_addr))
		return false;
	g = &m->geo;
	config_mapping_title(a->active->config, tenant_name(a->active->config, m->tenant), geometry_in(g),
			     geometry_out(g), title);
	inside_text(in_addr, in);
	if (g->out_plen == PLEN_NONE)
		snprintf(text, KEPT_TEXT, "kept for %s, which %s leaves untranslated", in, title);
	else
		snprintf(text, KEPT_TEXT, "kept for %s, which %s maps to %s", in, title,
			 addr_format(mapping_forward(g, in_addr).out_addr, out));
	return true;
}

const char *explain_no_block(const struct geometry *g, struct endpoint out, char text[static NO_BLOCK_TEXT])
{
	uint32_t above = out.port - g->first_port, lo = g->first_port + above / g->pitch * g->pitch;

	switch (mapping_port_kind(g, out.addr, out.port)) {
	case MAPPING_PORT_BELOW:
		if (g->first_port == MAPPING_FIRST_PORT)
			snprintf(text, NO_BLOCK_TEXT, "ports below %u are never given out", MAPPING_FIRST_PORT);
		else
			snprintf(text, NO_BLOCK_TEXT, "ports below %u are in no block", g->lowest_port);
		break;
	case MAPPING_PORT_GAP:
		snprintf(text, NO_BLOCK_TEXT, "ports %u to %u lie between two blocks, and are never given out",
			 lo + g->ports_per_host, lo + g->pitch - 1);
		break;
	case MAPPING_PORT_SPARE:
		snprintf(text, NO_BLOCK_TEXT, "ports %u to %u are a block that no inside address has", lo,
			 lo + g->ports_per_host - 1);
		break;
	default:
		snprintf(text, NO_BLOCK_TEXT, "ports above %u are the remainder of %u blocks of %u",
			 mapping_last_port(g), g->ratio, g->ports_per_host);
		break;
	}
	return text;
}

void explain_add_kept(const struct explanation *e, cJSON *list)
{
	char addr[INSIDE_TEXT], kept[KEPT_TEXT];
	int number = mappings_find_outside(e->context->mappings, e->asked.addr);

	if (explain_kept(e->context, number, e->in_addr, kept))
		explain_add(list, true, "drop_no_session",
			    "explain that address; mapping del of the exception gives the block back",
			    "%s:%u is %s: packets to it are dropped", addr_format(e->asked.addr, addr), e->asked.port,
			    kept);
}

void explain_add_draining(const struct explanation *e, uint32_t in_addr, cJSON *list)
{
	const struct mappings *m = e->context->mappings;
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain);

	for (size_t i = 0; i < n; i++) {
		const struct mapping_drain *d = &drain[i];
		const struct mapping *from = mappings_get(m, d->number);
		struct port_block block;
		char addr[INSIDE_TEXT], out[INSIDE_TEXT];

		if (from->tenant != e->tenant || mappings_drain_of(m, d->number, in_addr) != d)
			continue;
		block = mapping_block(&from->geo, in_addr);
		explain_add(
			list, false, "draining",
			"mapping list shows drains; mapping del of a retired mapping ends it now",
			"%u earlier sessions of %s continue at %s:<%u-%u>, for %u s at most; it has no new ones there",
			__atomic_load_n(
				&mappings_subscriber(m, d->number, mapping_subscriber(&from->geo, in_addr))->sessions,
				__ATOMIC_RELAXED),
			inside_text(in_addr, addr), addr_format(block.out_addr, out), block.port_lo, block.port_hi,
			mapping_drain_left(d));
	}
}

void explain_add_untranslated(const struct explanation *e, cJSON *list)
{
	char addr[INSIDE_TEXT];

	explain_add(list, false, "passed_untranslated",
		    "mapping del returns it to the mapping around it, if there is one",
		    "%s is not translated: packets from and to it are routed unchanged, whatever unmatched says",
		    addr_format(e->asked.addr, addr));
}

void explain_add_open(const struct explanation *e, cJSON *list)
{
	char addr[INSIDE_TEXT], out[INSIDE_TEXT];

	explain_add(list, false, "inbound", "",
		    "%s and %s map to each other: inbound is open, there are no sessions, and everything is let in",
		    inside_text(e->in_addr, addr), addr_format(e->block.out_addr, out));
}

void explain_add(cJSON *list, bool drops, const char *reason, const char *advice, const char *format, ...)
{
	cJSON *json = cJSON_CreateObject();
	char text[640];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cJSON_AddBoolToObject(json, "drops", drops);
	cJSON_AddStringToObject(json, "reason", reason);
	cJSON_AddStringToObject(json, "text", text);
	cJSON_AddStringToObject(json, "advice", advice);
	if (!cJSON_AddItemToArray(list, json))
		cJSON_Delete(json);
}
