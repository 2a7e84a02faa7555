// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks pinned by an earlier agent, and the comparison of the map with this agent's records. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/virtual6.h"
#include "datapath/map_keys.h"
#include "tables/grants_private.h"

/* The grant of an entry of its outside address. */
static struct grant grant_of_entry(const struct grant_key *key, const struct grant_value *value)
{
	return (struct grant){
		.out_addr = key->addr,
		.port_lo = key->at,
		.ports = value->ports,
		.in_addr = value->addr,
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
}

static bool entry_is_valid(const struct grant_key *key, const struct grant_value *value)
{
	return value->port_lo == key->at && key->at >= GROWTH_FIRST_PORT && value->ports >= GROWTH_MIN_BLOCK &&
	       value->ports <= GROWTH_MAX_BLOCK && value->ports <= 65536U - key->at;
}

static int take_outside(struct grants *g, const struct grant_key *key, const struct grant_value *value)
{
	struct grant grant = grant_of_entry(key, value);

	/* grants_open() finds its number; without one it is half made. */
	grant.number = GROWTH_MAX_BLOCKS;
	return grant_store(g, &grant) ? 0 : -ENOMEM;
}

/* Whether an entry of an inside address is the second half of an open grant, whose number it then is. */
static bool take_inside(const struct grants *g, const struct grant_key *key, const struct grant_value *value)
{
	struct grant *grant = grants_find(g, value->addr, value->port_lo);

	if (!grant || grant->state != GRANT_OPEN || grant->in_addr != key->addr || grant->ports != value->ports ||
	    grant->number != GROWTH_MAX_BLOCKS || key->at >= GROWTH_MAX_BLOCKS)
		return false;
	grant->number = (uint8_t)key->at;
	grant->tenant = key->tenant;
	return true;
}

static int take_full(struct grants *g, const struct grant_key *key)
{
	int r = hash_index_add(&g->full, HASH_OF(key->addr), key->addr);

	g->figures.addresses_full = g->full.n;
	return r;
}

/* One pass over the keys for each kind of entry. Returns the number of entries removed, or -errno. */
static int take_entries(struct grants *g, const struct grant_key *keys, size_t n, enum grant_direction direction)
{
	int removed = 0, r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		struct grant_value value;
		bool kept = false;

		if (keys[i].direction != direction || bpf_map_lookup_elem(g->map, &keys[i], &value))
			continue;
		if (direction == GRANT_NONE_LEFT) {
			r = take_full(g, &keys[i]);
			continue;
		}
		if (direction == GRANT_OF_INSIDE)
			kept = take_inside(g, &keys[i], &value);
		else if (entry_is_valid(&keys[i], &value) && !grants_at(g, keys[i].addr, keys[i].at))
			kept = !(r = take_outside(g, &keys[i], &value));
		if (!kept && !r)
			removed += !grant_erase_entry(g, &keys[i]);
	}
	return r ? r : removed;
}

/* Open grants without their second entry. Returns their number. */
static int drop_halves(struct grants *g)
{
	uint32_t at = 0;
	int n = 0;

	for (struct grant *i; (i = grants_walk(g, &at));) {
		if (i->state != GRANT_OPEN || i->number != GROWTH_MAX_BLOCKS)
			continue;
		grant_erase(g, i, GRANT_OF_OUTSIDE);
		grant_forget(g, i);
		n++;
	}
	return n;
}

static int take_over(struct grants *g)
{
	size_t n;
	_cleanup_free_ struct grant_key *keys = map_keys(g->map, sizeof(*keys), &n);
	int halves = 0, r = keys ? 0 : -ENOMEM;

	for (enum grant_direction d = GRANT_OF_OUTSIDE; r >= 0 && d <= GRANT_NONE_LEFT; d++) {
		r = take_entries(g, keys, n, d);
		halves += r > 0 ? r : 0;
	}
	if (r < 0)
		return r;
	halves += drop_halves(g);
	if (halves)
		log_warning("removed %d incomplete grants of blocks left by a killed agent", halves);
	return 0;
}

int grants_open(struct mappings *m, struct grants **ret, struct error *err)
{
	struct grants *g = calloc(1, sizeof(*g));
	int r = g ? 0 : -ENOMEM;

	if (g) {
		g->m = m;
		g->map = mappings_datapath(m)->grants;
		r = take_over(g);
	}
	if (r) {
		grants_close(g);
		return error_set(err, r, "the granted blocks cannot be read: %s", strerror(-r));
	}
	*ret = g;
	return 0;
}

void grants_close(struct grants *g)
{
	if (!g)
		return;
	grant_store_free(g);
	free(g);
}

static bool map_has(const struct grants *g, const struct grant *grant, enum grant_direction direction)
{
	struct grant_key key = grant_key_of(grant, direction);
	struct grant_value wanted = grant_value_of(grant, direction), value;

	return !bpf_map_lookup_elem(g->map, &key, &value) && value.addr == wanted.addr &&
	       value.port_lo == wanted.port_lo && value.ports == wanted.ports &&
	       (direction == GRANT_OF_INSIDE || value.until_s == wanted.until_s);
}

/* Audits a grant that the agent knows. */
static void audit_known(const struct grants *g, const struct grant *grant, bool repair, struct findings *findings)
{
	char out[INSIDE_TEXT], in[INSIDE_TEXT];

	if (grant->state == GRANT_ASKED)
		return;
	if (!map_has(g, grant, GRANT_OF_OUTSIDE))
		findings_add(findings, FINDING_GRANT, repair && !grant_write(g, grant, GRANT_OF_OUTSIDE),
			     addr_format(grant->out_addr, out),
			     "the granted block from port %u on is missing in the datapath, or leads elsewhere",
			     grant->port_lo);
	if (grant->state == GRANT_OPEN && !map_has(g, grant, GRANT_OF_INSIDE))
		findings_add(findings, FINDING_GRANT, repair && !grant_write(g, grant, GRANT_OF_INSIDE),
			     inside_text(grant->in_addr, in),
			     "no session opens on the granted block from port %u of %s on: its entry is missing",
			     grant->port_lo, addr_format(grant->out_addr, out));
}

/* Whether the agent knows why the map has an entry. */
static bool is_known(const struct grants *g, const struct grant_key *key)
{
	const struct grant *grant = NULL;

	if (key->direction == GRANT_NONE_LEFT)
		return grants_none_left(g, key->addr);
	if (key->direction == GRANT_OF_OUTSIDE)
		grant = grants_find(g, key->addr, key->at);
	else
		for (grant = grants_of(g, inside_place(key->tenant, key->addr), NULL); grant;
		     grant = grants_of(g, inside_place(key->tenant, key->addr), grant))
			if (grant->state == GRANT_OPEN && grant->number == key->at && grant->tenant == key->tenant)
				break;
	return grant && grant->state != GRANT_ASKED;
}

size_t grants_audit(struct grants *g, bool repair, struct findings *findings)
{
	size_t n;
	_cleanup_free_ struct grant_key *keys = map_keys(g->map, sizeof(*keys), &n);
	char addr[INSIDE_TEXT];
	uint32_t at = 0;

	for (const struct grant *i; (i = grants_walk(g, &at));)
		audit_known(g, i, repair, findings);
	for (size_t i = 0; keys && i < n; i++)
		if (!is_known(g, &keys[i]))
			findings_add(findings, FINDING_GRANT, repair && !grant_erase_entry(g, &keys[i]),
				     addr_format(keys[i].addr, addr),
				     "the datapath has an entry about granted blocks that the agent does not know: %u",
				     keys[i].at);
	return g->by_out.n;
}
