/* SPDX-License-Identifier: BSD-2-Clause */
#include "history_walk_tables.h"

#include <criterion/criterion.h>

#include <string.h>

#include <detnat/mapping.h>

#include "base/base.h"

unsigned walk_seed;

/* Of equal inside prefixes one is in use at a time; a pool is of one mapping at a time. */
static const char *const pairs[N_PAIRS][2] = {
	{ "10.0.0.0/24", "1.1.1.0/32" },  { "10.0.0.0/24", "1.1.3.0/32" },  { "10.0.0.64/26", "1.1.2.0/32" },
	{ "10.0.0.64/26", "1.1.5.0/32" }, { "10.0.0.80/28", "1.1.4.0/32" }, { "10.7.0.0/24", "1.1.1.0/32" },
	{ "10.8.0.0/24", "1.1.1.0/32" },  { "10.6.0.64/26", "1.1.2.0/32" }, { "10.6.0.0/24", "1.1.3.0/32" },
};

/* The last octets of the subscribers that are asked for: in no exception, in one, in both. */
const uint32_t walk_hosts[N_HOSTS] = { 1, 64, 81 };

static struct history_mapping mapping[N_PAIRS];
static unsigned first_port; /* of all blocks */
static bool shared;	    /* the networks 10.6, 10.7 and 10.8 are 10.0 of other tenants */

unsigned walk_below(unsigned n)
{
	walk_seed = walk_seed * 1103515245 + 12345;
	return (walk_seed >> 16) % n;
}

static unsigned block_ports(unsigned pair)
{
	return (65536U - first_port) >> (32 - mapping[pair].in.plen);
}

/* What the history is told of an address and its tenant, and back. */

static uint32_t told_addr(uint32_t addr)
{
	return shared ? addr & 0xff00ffffU : addr;
}

static struct prefix told_prefix(struct prefix p)
{
	p.base = told_addr(p.base);
	return p;
}

/* "isp0", "isp6" and so on. */
static void told_tenant(uint32_t addr, char tenant[static LABEL_TEXT])
{
	snprintf(tenant, LABEL_TEXT, shared ? "isp%u" : "%.0u", shared ? addr >> 16 & 255 : 0);
}

static struct history_mapping told_mapping(const struct tables *t, unsigned pair)
{
	struct history_mapping m = mapping[pair];

	if (t->shape[pair] == SHAPE_HALF)
		m.blocks.ports_per_host /= 2;
	m.blocks.first_port -= t->shape[pair] == SHAPE_LOWER;
	told_tenant(m.in.base, m.tenant);
	m.in = told_prefix(m.in);
	return m;
}

uint32_t walk_addr(uint32_t in_addr, const char *tenant)
{
	unsigned network = 0;

	if (!shared)
		return in_addr;
	/* An answer without its tenant would be wrong. */
	return sscanf(tenant, "isp%u", &network) == 1 ? in_addr | network << 16 : 0;
}

void walk_parse(bool grows, bool tenants)
{
	shared = tenants;
	first_port = grows ? GRANTS_BELOW : 1024;
	for (unsigned p = 0; p < N_PAIRS; p++) {
		cr_assert_eq(prefix_parse(pairs[p][0], &mapping[p].in), 0);
		cr_assert_eq(prefix_parse(pairs[p][1], &mapping[p].out), 0);
		mapping[p].from = TIME_NONE;
		mapping[p].blocks = (struct plan_blocks){ 0 };
		if (grows)
			mapping[p].blocks = (struct plan_blocks){ .ratio = (uint16_t)(1U << (32 - mapping[p].in.plen)),
								  .first_port = (uint16_t)first_port,
								  .pitch = (uint16_t)block_ports(p),
								  .ports_per_host = (uint16_t)block_ports(p) };
	}
}

/* The address of a subscriber of a mapping; 0: it has none with that octet. */
uint32_t walk_host(unsigned pair, unsigned of)
{
	uint32_t addr = (mapping[pair].in.base & 0xffffff00) + walk_hosts[of];

	return prefix_contains(mapping[pair].in.base, mapping[pair].in.plen, addr) ? addr : 0;
}

static bool same_prefix(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen;
}

static bool within(struct prefix inner, struct prefix outer)
{
	return inner.plen >= outer.plen && prefix_contains(outer.base, outer.plen, inner.base);
}

/* The mapping in use with the longest inside prefix around one, or that prefix itself; -1: none. */
static int around(const struct tables *t, struct prefix in, bool itself)
{
	int found = -1;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] && mapping[p].in.plen < in.plen + itself && within(in, mapping[p].in) &&
		    (found < 0 || mapping[p].in.plen > mapping[found].in.plen))
			found = (int)p;
	return found;
}

struct history_drain walk_drain(struct drain d)
{
	return (struct history_drain){ told_prefix(mapping[d.pair].in), mapping[d.pair].out,
				       told_prefix(mapping[d.of].in), TIME_NONE };
}

static void begin_drain(struct tables *t, unsigned pair, unsigned of)
{
	for (unsigned i = t->n_drains; i-- > 0;)
		if (t->drain[i].pair == pair && within(mapping[t->drain[i].of].in, mapping[of].in))
			t->drain[i] = t->drain[--t->n_drains];
	t->drain[t->n_drains++] = (struct drain){ pair, of };
}

/* Ends the drains that have an end now, as the tables do. Returns whether there were any. */
static bool end_drains(struct tables *t)
{
	unsigned n = t->n_drains;

	for (unsigned i = t->n_drains; i-- > 0;) {
		unsigned p = t->drain[i].pair;

		if ((!t->in_use[p] && !t->retired[p]) || around(t, mapping[t->drain[i].of].in, true) == (int)p)
			t->drain[i] = t->drain[--t->n_drains];
	}
	return n != t->n_drains;
}

/* Works out who may have sessions. */
static void settle(struct tables *t)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned a = 0; a < N_HOSTS; a++) {
			struct prefix host = { walk_host(p, a), 32 };
			bool there = t->in_use[p] || t->retired[p], drained = false;

			for (unsigned i = 0; i < t->n_drains; i++)
				drained |= t->drain[i].pair == p && within(host, mapping[t->drain[i].of].in);
			t->may[p][a] =
				host.base && (around(t, host, true) == (int)p || (t->may[p][a] && drained && there));
		}
}

/* Whether the blocks of a mapping leave room for a granted one. */
static bool has_room(const struct tables *t, unsigned p, unsigned block)
{
	return t->shape[p] != SHAPE_LOWER || block < N_GRANTS - 1;
}

/* With a mapping its grants end, and with the room for them. */
static void drop_grants(struct tables *t)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned b = 0; b < N_GRANTS; b++)
			if ((!t->in_use[p] && !t->retired[p]) || !has_room(t, p, b))
				t->grant[p][b] = 0;
}

static struct history_grant grant_of(unsigned pair, unsigned block, unsigned of)
{
	return (struct history_grant){ .in = told_addr(walk_host(pair, of)),
				       .out = mapping[pair].out.base,
				       .port_lo = (uint16_t)(1024 + block * GRANT_PORTS),
				       .ports = GRANT_PORTS,
				       .from = TIME_NONE };
}

size_t walk_granted(const struct tables *t, struct history_grant ret[static N_PAIRS * N_GRANTS])
{
	size_t n = 0;

	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned b = 0; b < N_GRANTS; b++)
			if (t->grant[p][b])
				ret[n++] = grant_of(p, b, t->grant[p][b] - 1U);
	return n;
}

/* A block ends, begins, or goes from one to another at once. New ones are for those who open sessions there. */
static void choose_grant(const struct tables *now, unsigned p, unsigned b, struct walk_group *c)
{
	unsigned of = walk_below(N_HOSTS);
	uint8_t was = now->grant[p][b], *then = &c->recorded.grant[p][b];
	struct prefix host = { walk_host(p, of), 32, 0 };

	*then = 0;
	if (was)
		c->end[c->n_end++] = grant_of(p, b, was - 1U);
	if ((was && walk_below(2)) || !now->in_use[p] || !host.base || around(now, host, true) != (int)p)
		return;
	if (was == of + 1)
		c->n_end--;
	else
		c->begin[c->n_begin++] = grant_of(p, b, of);
	*then = (uint8_t)(of + 1);
}

void walk_choose_grants(const struct tables *now, struct walk_group *ret)
{
	*ret = (struct walk_group){ .recorded = *now, .part = *now };
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned b = 0; b < N_GRANTS; b++) {
			if ((!now->in_use[p] && !now->grant[p][b]) || !has_room(now, p, b) || walk_below(2))
				continue;
			choose_grant(now, p, b, ret);
			if (walk_below(2))
				ret->part.grant[p][b] = ret->recorded.grant[p][b];
		}
}

static bool pool_taken(const struct tables *t, unsigned pair)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (p != pair && (t->in_use[p] || t->retired[p]) && same_prefix(mapping[p].out, mapping[pair].out))
			return true;
	return false;
}

static bool inside_taken(const struct tables *t, unsigned pair)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] && same_prefix(mapping[p].in, mapping[pair].in))
			return true;
	return false;
}

struct history_portmap walk_portmap(unsigned pair, uint32_t to)
{
	struct history_portmap m = { .in = { told_addr(to), 80, 80 },
				     .out = { mapping[pair].out.base, 80, 80 },
				     .proto = 6,
				     .from = TIME_NONE };

	told_tenant(to, m.tenant);
	return m;
}

static void set_portmap(struct change *c, unsigned pair, uint32_t to)
{
	uint32_t *at = &c->after.portmap[pair];

	if (*at == to)
		return;
	if (*at)
		c->gone[c->portmaps.del[FACT_PORTMAP].n++] = walk_portmap(pair, *at);
	if (to)
		c->come[c->portmaps.add[FACT_PORTMAP].n++] = walk_portmap(pair, to);
	*at = to;
}

static void take_out(struct change *c, unsigned p, bool drains)
{
	set_portmap(c, p, 0);
	c->after.in_use[p] = false;
	c->after.retired[p] = drains;
	if (!drains) {
		c->del[c->n_del++] = told_mapping(&c->after, p);
		return;
	}
	c->begun[c->drains.add[FACT_DRAIN].n++] = walk_drain((struct drain){ p, p });
	begin_drain(&c->after, p, p);
}

static void put_in(struct change *c, unsigned p, bool drains)
{
	int outer = drains ? around(&c->after, mapping[p].in, false) : -1;

	if (c->after.retired[p])
		c->ended[c->drains.del[FACT_DRAIN].n++] = walk_drain((struct drain){ p, p });
	else
		c->add[c->n_add++] = told_mapping(&c->after, p);
	for (unsigned i = c->after.n_drains; i-- > 0;)
		if (c->after.drain[i].pair == p && c->after.drain[i].of == p)
			c->after.drain[i] = c->after.drain[--c->after.n_drains];
	if (outer >= 0) {
		c->begun[c->drains.add[FACT_DRAIN].n++] = walk_drain((struct drain){ (unsigned)outer, p });
		begin_drain(&c->after, (unsigned)outer, p);
	}
	c->after.in_use[p] = true;
	c->after.retired[p] = false;
}

/* Other blocks with the same prefixes; the drains from it end. */
static void reshape(struct change *c, unsigned p)
{
	c->del[c->n_del++] = told_mapping(&c->after, p);
	c->after.shape[p] = (uint8_t)((c->after.shape[p] + 1 + walk_below(N_SHAPES - 1)) % N_SHAPES);
	c->add[c->n_add++] = told_mapping(&c->after, p);
	for (unsigned i = c->after.n_drains; i-- > 0;)
		if (c->after.drain[i].pair == p)
			c->after.drain[i] = c->after.drain[--c->after.n_drains];
}

void walk_choose(const struct tables *now, struct change *c)
{
	bool drains = !walk_below(3);
	unsigned p = walk_below(N_PAIRS);

	*c = (struct change){ .after = *now };
	if (!walk_below(6) && now->n_drains) {
		unsigned part = walk_below(now->n_drains);
		struct drain d = now->drain[part];

		/* A part has drained, or all of a retired mapping has. */
		if (now->retired[d.pair] && d.of == d.pair) {
			c->after.retired[d.pair] = false;
			c->del[c->n_del++] = told_mapping(now, d.pair);
		} else {
			c->ended[c->drains.del[FACT_DRAIN].n++] = walk_drain(d);
		}
		c->after.drain[part] = c->after.drain[--c->after.n_drains];
	} else if (first_port == GRANTS_BELOW && !walk_below(3) && now->in_use[p]) {
		reshape(c, p);
	} else if (!walk_below(4) && now->in_use[p]) {
		set_portmap(c, p,
			    now->portmap[p] && walk_below(2) ? 0
							     : (mapping[p].in.base & 0xffffff00) + 1 + walk_below(2));
		if (c->after.portmap[p] &&
		    !prefix_contains(mapping[p].in.base, mapping[p].in.plen, c->after.portmap[p]))
			*c = (struct change){ .after = *now };
	} else if (now->in_use[p]) {
		take_out(c, p, drains);
	}
	/* What has come free goes to another at once, or what is free at all. */
	for (unsigned attempt = 0; attempt < 4; attempt++) {
		unsigned q = walk_below(N_PAIRS);

		if (q != p && !c->after.in_use[q] && !pool_taken(&c->after, q) && !inside_taken(&c->after, q) &&
		    (now->in_use[p] || walk_below(2)) && !c->n_add) {
			put_in(c, q, drains);
			break;
		}
	}
	c->drains.del[FACT_DRAIN].of = c->ended;
	c->drains.add[FACT_DRAIN].of = c->begun;
	c->portmaps.del[FACT_PORTMAP].of = c->gone;
	c->portmaps.add[FACT_PORTMAP].of = c->come;
	drop_grants(&c->after);
	c->recorded = c->after;
	settle(&c->recorded);
	c->more = end_drains(&c->after);
	memcpy(c->after.may, c->recorded.may, sizeof(c->after.may));
	settle(&c->after);
}

unsigned walk_port(uint32_t pool, unsigned of, bool second_half)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (mapping[p].out.base == pool && walk_host(p, of))
			return first_port + block_ports(p) * (walk_host(p, of) - mapping[p].in.base) +
			       (second_half ? block_ports(p) / 2 : 0);
	return 0;
}

size_t walk_listed(const struct tables *t, struct history_mapping *ret)
{
	size_t n = 0;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] || t->retired[p])
			ret[n++] = told_mapping(t, p);
	return n;
}

/* Who has the endpoint of a block, or of port 80, in a state; 0: nobody. The arithmetic of RFC 7422 by other means. */
uint32_t walk_holder(const struct tables *t, uint32_t pool, unsigned port)
{
	for (unsigned p = 0; p < N_PAIRS; p++) {
		if (mapping[p].out.base != pool || (!t->in_use[p] && !t->retired[p]))
			continue;
		if (port == 80)
			return t->portmap[p];
		for (unsigned a = 0; a < N_HOSTS; a++) {
			uint32_t addr = walk_host(p, a), size = block_ports(p);
			uint32_t from = first_port - (t->shape[p] == SHAPE_LOWER);
			uint32_t first = from + size * (addr - mapping[p].in.base);

			size /= t->shape[p] == SHAPE_HALF ? 2 : 1;
			if (addr && t->may[p][a] &&
			    (port < from ? t->grant[p][(port - 1024) / GRANT_PORTS] == a + 1
					 : port >= first && port < first + size))
				return addr;
		}
	}
	return 0;
}
