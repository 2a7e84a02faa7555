// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks as assignments: those pinned by an earlier agent, and the comparison of the map. */
#include <errno.h>

#include "base/virtual6.h"
#include "tables/grants_private.h"

static bool read_entry(const void *entry_key, const void *entry_value, void *ret)
{
	const struct grant_key *key = entry_key;
	const struct grant_value *value = entry_value;
	bool inside = key->direction == GRANT_OF_INSIDE;

	*(struct grant *)ret = (struct grant){
		.out_addr = inside ? value->addr : key->addr,
		.port_lo = inside ? value->port_lo : key->at,
		.ports = value->ports,
		.in_addr = inside ? key->addr : value->addr,
		.number = inside ? key->at : 0,
		.tenant = key->tenant,
		.state = !value->addr	  ? GRANT_RESTS
			 : value->until_s ? GRANT_CLOSED
					  : GRANT_OPEN,
		.peer = value->peer,
		.idle = value->pad[IDLE_PAD],
		.from = value->from,
		.until_s = value->until_s,
		.stamp = value->stamp,
		.rest_s = value->rest_s,
	};
	if (inside)
		return key->at < GROWTH_MAX_BLOCKS;
	return value->port_lo == key->at && key->at >= GROWTH_FIRST_PORT && value->ports >= GROWTH_MIN_BLOCK &&
	       value->ports <= GROWTH_MAX_BLOCK && value->ports <= 65536U - key->at;
}

static bool agrees(const void *record, const void *read, unsigned direction)
{
	const struct grant *grant = record, *there = read;

	return grant->ports == there->ports && (direction == GRANT_OF_INSIDE || grant->until_s == there->until_s);
}

static bool wants(const void *record, unsigned direction)
{
	const struct grant *grant = record;

	return direction == GRANT_OF_INSIDE ? grant->state == GRANT_OPEN : grant->state != GRANT_ASKED;
}

static bool fits(const struct assignments *s, const void *key, void *record)
{
	const struct grant *grant = record;

	return !grants_at((const struct grants *)s, grant->out_addr, grant->port_lo);
}

static void missing(const void *record, unsigned direction, bool repaired, struct findings *findings)
{
	const struct grant *grant = record;
	char out[INSIDE_TEXT], in[INSIDE_TEXT];

	if (direction == GRANT_OF_OUTSIDE)
		findings_add(findings, FINDING_GRANT, repaired, addr_format(grant->out_addr, out),
			     "the granted block from port %u on is missing in the datapath, or leads elsewhere",
			     grant->port_lo);
	else
		findings_add(findings, FINDING_GRANT, repaired, inside_text(grant->in_addr, in),
			     "no session opens on the granted block from port %u of %s on: its entry is missing",
			     grant->port_lo, addr_format(grant->out_addr, out));
}

static void stray(const void *entry_key, bool repaired, struct findings *findings)
{
	const struct grant_key *key = entry_key;
	char addr[INSIDE_TEXT];

	findings_add(findings, FINDING_GRANT, repaired, addr_format(key->addr, addr),
		     "the datapath has an entry about granted blocks that the agent does not know: %u", key->at);
}

static void key_of(const void *record, unsigned direction, void *ret)
{
	*(struct grant_key *)ret = grant_key_of(record, direction);
}

static void erased(const struct assignments *s, const void *key)
{
	if (((const struct grant_key *)key)->direction == GRANT_OF_OUTSIDE)
		grant_taken_away((const struct grants *)s);
}

static uint8_t tenant_of(const struct assignments *s, const void *record)
{
	return mappings_outside_tenant(s->m, ((const struct grant *)record)->out_addr);
}

static const struct assignment_kind kind = {
	.one = "a granted block",
	.many = "grants of blocks",
	.all = "the granted blocks",
	.table_size = sizeof(struct grants),
	.size = sizeof(struct grant),
	.max = GRANTS_MAX,
	.key_size = sizeof(struct grant_key),
	.direction_at = offsetof(struct grant_key, direction),
	.direction_bits = UINT8_MAX,
	.inside = GRANT_OF_INSIDE,
	.key_of = key_of,
	.read = read_entry,
	.agrees = agrees,
	.wants = wants,
	.write = grant_write,
	.erased = erased,
	.fits = fits,
	.count = grant_tally,
	.tenant = tenant_of,
	.missing = missing,
	.stray = stray,
};
_Static_assert(sizeof(struct grant) <= ASSIGNMENT_MAX, "has room where it is read");

int grants_open(struct mappings *m, struct grants **ret, struct error *err)
{
	*ret = (struct grants *)assignments_open(&kind, m, mappings_datapath(m)->grants, err);
	return *ret ? 0 : -ENOMEM;
}

void grants_close(struct grants *g)
{
	if (g)
		assignments_close(&g->table);
}

size_t grants_audit(struct grants *g, bool repair, struct findings *findings)
{
	return assignments_audit(&g->table, repair, findings);
}
