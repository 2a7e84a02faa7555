// SPDX-License-Identifier: BSD-2-Clause
/* What the property test runs on: mappings of every kind, and portmaps that come and go. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "property.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"
#include "update_fixture.h"

#define ALL_BINDINGS (BINDING_UDP | BINDING_TCP | BINDING_ICMP)

static const struct model_mapping plain_mappings[] = {
	{ ADDR(10, 0, 0, 0), 256, POOL, 4, 60, .slots = 1024 },
	/* 15 ports a host. 8 slots: most sessions of a busy host stand beyond them. */
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 114, 0), 1, 36, .slots = 8 },
	/* All ports. */
	{ ADDR(10, 96, 0, 0), 4, ADDR(203, 0, 115, 0), 4, 50, .slots = 64 },
};
static const uint32_t plain_subscribers[] = {
	ADDR(10, 0, 0, 2),  ADDR(10, 0, 0, 3),	   ADDR(10, 64, 0, 0),
	ADDR(10, 64, 0, 1), ADDR(10, 64, 15, 255), ADDR(10, 96, 0, 1),
};
const struct scene property_plain = { plain_mappings, 3, plain_subscribers, 6, 2, false, false, false };

/* What the second and the third mapping may become, apart from what they are: ratios, and so blocks, differ. */
static const struct model_mapping plans[] = {
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 114, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 119, 0), 4, 12, .slots = 64 },
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 120, 0), 16, 12, .slots = 8 },
	{ ADDR(10, 96, 0, 0), 4, ADDR(203, 0, 115, 0), 4, 10, .slots = 64 },
	{ ADDR(10, 96, 0, 0), 4, ADDR(203, 0, 121, 0), 2, 10, .slots = 8 },
	{ ADDR(10, 96, 0, 0), 4, ADDR(203, 0, 122, 0), 4, 10, .slots = 64 },
};
/* As time passes whenever former mappings end, sessions are few: so are those that they may have. */
static const struct model_mapping renumbered_mappings[] = {
	{ ADDR(10, 0, 0, 0), 256, POOL, 4, 20, .slots = 1024 },
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 114, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 96, 0, 0), 4, ADDR(203, 0, 115, 0), 4, 10, .slots = 64 },
};
const struct scene property_renumbered = { renumbered_mappings, 3, plain_subscribers, 6, 2, false, true, false };

/* What takes addresses out of these for a while: by each of the three, and the same ones to different pools. */
static const struct model_mapping exceptions[] = {
	{ ADDR(10, 64, 0, 0), 16, ADDR(203, 0, 119, 0), 4, 12, .slots = 8 },
	{ ADDR(10, 64, 0, 0), 2, ADDR(203, 0, 120, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 64, 0, 1), 1, ADDR(203, 0, 121, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 64, 15, 240), 16, ADDR(203, 0, 122, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 0, 0, 2), 2, ADDR(203, 0, 123, 0), 1, 12, .slots = 8 },
	{ ADDR(10, 96, 0, 0), 2, ADDR(203, 0, 124, 0), 1, 10, .slots = 8 },
};
const struct scene property_excepted = { renumbered_mappings, 3, plain_subscribers, 6, 2, false, false, true };

static const struct model_mapping reachable_mappings[] = {
	{ ADDR(10, 0, 0, 0), 256, POOL, 4, 20, .slots = 1024 },
	{ ADDR(10, 64, 0, 0), 4096, ADDR(203, 0, 114, 0), 1, 24, .slots = 8 },
	/* Exceptions in the first one: a pool of its own, open, and none. */
	{ ADDR(10, 0, 0, 64), 64, ADDR(203, 0, 116, 0), 1, 16, .slots = 64,
	  .one_port = MODEL_UDP | MODEL_TCP | MODEL_ICMP, .anyone = MODEL_UDP | MODEL_TCP, .inbound_part = 25 },
	{ OPEN_HOST, 1, ADDR(203, 0, 118, 8), 1, 0, .kind = MODEL_OPEN },
	{ UNTRANSLATED, 1, 0, 0, 0, .kind = MODEL_UNTRANSLATED },
	/* 15 ports, which are soon bound; TCP has sessions of the usual kind beside them. */
	{ ADDR(10, 80, 0, 0), 4096, ADDR(203, 0, 117, 0), 1, 18, .slots = 64, .one_port = MODEL_UDP,
	  .anyone = MODEL_UDP, .inbound_part = 50 },
};
static const uint32_t reachable_subscribers[] = {
	ADDR(10, 0, 0, 2),  ADDR(10, 0, 0, 3),	ADDR(10, 0, 0, 65), ADDR(10, 0, 0, 66),
	ADDR(10, 64, 0, 1), ADDR(10, 80, 0, 1), ADDR(10, 80, 0, 2),
};
const struct scene property_reachable = { reachable_mappings, 6, reachable_subscribers, 7, 4, true, false, false };

/* Blocks other than the defaults: 33 subscribers an address, netmap order, gaps between blocks. */
static const struct model_mapping shared_mappings[] = {
	{ ADDR(10, 0, 0, 0), 256, POOL, 4, 60, .slots = 1024 },
	{ ADDR(10, 64, 0, 0), 1024, ADDR(203, 0, 114, 0), 32, 20, .slots = 8, .ratio = 33, .ports = 1954 },
	{ ADDR(10, 80, 0, 0), 64, ADDR(203, 0, 117, 0), 2, 20, .slots = 8, .ratio = 32, .first_port = 1026,
	  .pitch = 2016, .ports = 2014 },
	/* 15 ports, which are soon in use. */
	{ ADDR(10, 96, 0, 0), 1024, ADDR(203, 0, 115, 0), 32, 30, .slots = 64, .ratio = 32, .first_port = 60000,
	  .pitch = 17, .ports = 15, .netmap = true },
	{ ADDR(10, 112, 0, 0), 1024, ADDR(203, 0, 119, 0), 32, 30, .slots = 64, .ratio = 32, .from_zero = true,
	  .ports = 15, .netmap = true },
};
static const uint32_t shared_subscribers[] = {
	ADDR(10, 64, 0, 33), ADDR(10, 64, 3, 255), ADDR(10, 80, 0, 1),	ADDR(10, 80, 0, 63),
	ADDR(10, 96, 0, 32), ADDR(10, 96, 3, 255), ADDR(10, 112, 0, 1), ADDR(10, 112, 0, 33),
};
const struct scene property_shared = { shared_mappings, 5, shared_subscribers, 8, 5, false, false, false };

/* 15 ports, and blocks of 8 beside them: with sessions of the usual kind, and with ports that are bound. */
static const struct model_mapping growing_mappings[] = {
	{ ADDR(10, 0, 0, 0), 256, POOL, 4, 20, .slots = 1024 },
	{ ADDR(10, 64, 0, 0), 1024, ADDR(203, 0, 114, 0), 32, 33, .slots = 64, .ratio = 32, .first_port = 1100,
	  .pitch = 17, .ports = 15, .grow_block = 8, .grow_max = 2 },
	{ OPEN_HOST, 1, ADDR(203, 0, 118, 8), 1, 0, .kind = MODEL_OPEN },
	{ UNTRANSLATED, 1, 0, 0, 0, .kind = MODEL_UNTRANSLATED },
	{ ADDR(10, 80, 0, 0), 1024, ADDR(203, 0, 117, 0), 32, 40, .slots = 64, .one_port = MODEL_UDP | MODEL_TCP,
	  .anyone = MODEL_UDP | MODEL_TCP, .inbound_part = 30, .ratio = 32, .ports = 15, .grow_block = 8,
	  .grow_max = 2 },
	{ ADDR(10, 96, 0, 0), 1024, ADDR(203, 0, 119, 0), 32, 40, .slots = 64, .one_port = MODEL_UDP | MODEL_ICMP,
	  .anyone = MODEL_UDP, .inbound_part = 30, .ratio = 32, .from_zero = true, .ports = 15, .grow_block = 8,
	  .grow_max = 2 },
};
static const uint32_t growing_subscribers[] = {
	ADDR(10, 0, 0, 2),  ADDR(10, 64, 0, 0),	 ADDR(10, 64, 0, 1), ADDR(10, 64, 3, 255),
	ADDR(10, 80, 0, 1), ADDR(10, 80, 0, 33), ADDR(10, 96, 0, 0),
};
const struct scene property_growing = { growing_mappings, 6, growing_subscribers, 7, 3, true, false, false, true };

/* As set up, with the mappings that there are now. */
static struct scene current;
static struct model_mapping mapping_now[10];
const struct scene *property_scene = &current;

static struct portmaps *portmaps;

static uint8_t plen(uint32_t count)
{
	return (uint8_t)(32 - __builtin_ctz(count));
}

static uint8_t binding_bits(unsigned protocols)
{
	return (uint8_t)((protocols & MODEL_UDP ? BINDING_UDP : 0) | (protocols & MODEL_TCP ? BINDING_TCP : 0) |
			 (protocols & MODEL_ICMP ? BINDING_ICMP : 0));
}

struct model_mapping *property_mapping(size_t at)
{
	return &mapping_now[at];
}

void property_spec_of(const struct model_mapping *m, struct mapping_spec *ret)
{
	*ret = (struct mapping_spec){
		.in = { m->in_base, plen(m->in_count) },
		.out = m->kind == MODEL_UNTRANSLATED ? (struct prefix)PREFIX_NONE
						     : (struct prefix){ m->out_base, plen(m->out_count) },
		.sessions_per_user = m->kind == MODEL_SESSIONS_KEPT ? m->quota : 1000,
		.session_slots = m->slots,
		.open = m->kind == MODEL_OPEN,
		.bindings = { .mapping = binding_bits(m->one_port),
			      .filtering = binding_bits(m->anyone),
			      .inbound = (uint8_t)m->inbound_part },
		.growth = { (uint16_t)m->grow_block, (uint16_t)m->grow_max },
		.limit = { .sessions = { m->limit[0], m->limit[1], m->limit[2] } },
	};
	if (m->rated) {
		ret->limit.interval_ns = PROPERTY_INTERVAL_NS;
		ret->limit.burst = PROPERTY_BURST;
		ret->limit.rate = 1;
	}

	if (m->ratio) {
		const struct mapping_parameters p = {
			.in_base = m->in_base,
			.last_subscriber = m->in_count - 1,
			.out_base = m->out_base,
			.last_out = m->out_count - 1,
			.ratio = m->ratio,
			.first_port = m->first_port || m->from_zero ? m->first_port : 1024,
			.pitch = m->pitch ? m->pitch : m->ports,
			.ports_per_host = m->ports,
			.netmap = m->netmap,
		};

		cr_assert_eq(mapping_make(&p, &ret->geo), 0);
	}
	memcpy(ret->timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(ret->timeout_ticks));
}

static void add_mapping(const struct model_mapping *m, const struct mapping_handover *how)
{
	struct mapping_spec spec;

	property_spec_of(m, &spec);
	make_mapping(&spec, how);
}

static void reachable_settings(void)
{
	settings.portmaps = 1;
	settings.open_mappings = 1;
	/* For the programs: the fixture's mapping is without. */
	bindings = (struct binding_layout){ .mapping = ALL_BINDINGS, .filtering = BINDING_UDP | BINDING_TCP };
}

/* As an agent does; so the fast path need not ask whether a source is the gateway's own address. */
static void vouch_for_sources(void)
{
	static const uint32_t own[] = { ADDR(10, 0, 0, 1), ADDR(198, 51, 100, 1) };
	struct globals *g = datapath.global;

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		g->own_sources[own_source_bit(own[i]) >> 6] |= 1ULL << (own_source_bit(own[i]) & 63);
	g->sources_until = datapath_ticks(&datapath) + (1U << 30);
}

void property_set_up(struct property *t, const struct scene *scene, uint64_t seed)
{
	struct error err;

	current = *scene;
	memcpy(mapping_now, scene->mapping, scene->n_mappings * sizeof(*mapping_now));
	current.mapping = mapping_now;
	t->r.state = seed ? seed : 1;
	t->model = (struct model){ .mapping = mapping_now, .n_mappings = scene->n_mappings, .now = 1e6 };
	cr_assert_eq(system("ip route add 10.64.0.0/10 via 10.0.0.2 dev tin;"
			    "for i in $(seq 61 70); do ip neigh add 10.0.0.$i lladdr 02:00:00:00:00:03 dev tin; done"),
		     0);
	settings.session_events = 1;
	settings.drains = scene->renumbered;
	settings.growth = scene->growing;
	settings.limits = scene->limited;
	for (size_t i = 0; i < scene->n_mappings; i++)
		settings.port_zero |= scene->mapping[i].from_zero;
	if (scene->reachable)
		reachable_settings();
	reload_settings();
	property_events_begin();
	sessions_on_close(mappings, property_closed, NULL);
	t->resumed = t->stopped = datapath_ticks(&datapath);
	datapath.mapping[0].sessions_per_user = scene->mapping[0].quota;
	datapath.table->limits.growth_until = datapath_ticks(&datapath) + (1U << 30);
	for (size_t i = 1; i < scene->n_mappings; i++)
		add_mapping(&scene->mapping[i], &(struct mapping_handover){ 0 });
	if (!scene->reachable)
		return;
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	vouch_for_sources();
}

bool property_is_pool(uint32_t addr)
{
	for (size_t i = 0; i < property_scene->n_mappings; i++)
		if (addr - property_scene->mapping[i].out_base < property_scene->mapping[i].out_count)
			return true;
	return false;
}

bool property_was_pool(uint32_t addr)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++)
		if (property_scene->excepted && addr - exceptions[i].out_base < exceptions[i].out_count)
			return !property_is_pool(addr);
	return false;
}

/* A session from before the portmap, whose endpoint has been bound to another port since, still stands on the port. */
static bool has_session(const struct model *m, const struct model_portmap *p)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct model_session *s = &m->session[i];

		if (s->in_addr == p->in_addr && s->out_port == p->out_port && s->proto == p->proto)
			return true;
	}
	return false;
}

static void remove_portmap(struct model *m, size_t at)
{
	const struct model_portmap *p = &m->portmap[at];
	struct endpoint out = { model_outside_of(m, p->in_addr), p->out_port };

	if (model_has_one_port(m, p->in_addr, p->proto) && has_session(m, p))
		return;
	cr_assert_eq(portmaps_del(portmaps, p->proto, out), 0);
	m->portmap[at] = m->portmap[--m->n_portmaps];
}

/* A port below all blocks, or one of the subscriber's, perhaps with sessions on it. */
static uint16_t random_out_port(struct property *t, uint32_t in_addr)
{
	static const uint16_t low[] = { 80, 443, 1023, 1 };
	const struct model_mapping *m = model_inside(&t->model, in_addr);
	uint16_t port;

	if (!m->from_zero && random_once(&t->r, 2))
		return low[random_below(&t->r, 4)];
	port = (uint16_t)(model_port_lo(m, in_addr) +
			  (5000 + random_below(&t->r, 16) + 1000 * random_below(&t->r, 2)) % model_ports(m));
	return port ? port : 1;
}

/* Perhaps a filter more: some of the external endpoints match it. */
static void random_filter(struct property *t, struct model_portmap *p, struct portmap *made)
{
	static const uint8_t plens[] = { 0, 24, 30, 31, 32 };
	uint32_t addr = random_external(&t->r);
	uint8_t plen = plens[random_below(&t->r, sizeof(plens))];
	uint16_t port = random_once(&t->r, 2) ? random_ext_port(&t->r) : 0;
	uint32_t host_bits = plen ? (uint32_t)((1ULL << (32 - plen)) - 1) : UINT32_MAX;

	if (random_once(&t->r, 2))
		return;
	/* Hairpins come from the pools. */
	if (random_once(&t->r, 3))
		addr = model_outside_of(&t->model, property_scene->subscriber[0]);
	p->filter[p->n_filters++] = (struct model_filter){ addr & ~host_bits, addr | host_bits, port };
	cr_assert(portmap_filters_add(&made->filters, addr, plen, port));
}

void property_change_portmaps(struct property *t)
{
	static const uint16_t in_ports[] = { 5000, 5015, 6008, 8080, 443, 0xffff };
	struct model *m = &t->model;
	struct model_portmap p = {
		.in_addr = property_scene->subscriber[random_below(&t->r, (uint32_t)property_scene->n_subscribers)],
		.in_port = in_ports[random_below(&t->r, 6)],
		.proto = random_once(&t->r, 2) ? TCP : UDP
	};
	struct portmap made;

	p.out_port = random_out_port(t, p.in_addr);
	if (m->n_portmaps && (m->n_portmaps > 8 || random_once(&t->r, 3))) {
		remove_portmap(m, random_below(&t->r, (uint32_t)m->n_portmaps));
		return;
	}
	if (model_portmap_in(m, p.in_addr, p.in_port, p.proto) ||
	    model_portmap_out(m, model_outside_of(m, p.in_addr), p.out_port, p.proto))
		return;
	made = (struct portmap){ .in = { p.in_addr, p.in_port },
				 .out = { model_outside_of(m, p.in_addr), p.out_port },
				 .proto = p.proto };
	for (unsigned i = 0; i < 2; i++)
		random_filter(t, &p, &made);
	cr_assert_eq(portmaps_put(portmaps, &made), 0);
	m->portmap[m->n_portmaps++] = p;
}

const struct model_mapping *property_plans(size_t *ret_n)
{
	*ret_n = current.excepted ? sizeof(exceptions) / sizeof(*exceptions) : sizeof(plans) / sizeof(*plans);
	return current.excepted ? exceptions : plans;
}

static struct prefix in_of(const struct model_mapping *m)
{
	return (struct prefix){ m->in_base, plen(m->in_count) };
}

static struct prefix out_of(const struct model_mapping *m)
{
	return (struct prefix){ m->out_base, plen(m->out_count) };
}

static bool pool_is_taken(const struct model_mapping *m)
{
	for (size_t i = 0; i < current.n_mappings; i++)
		if (mapping_now[i].out_base == m->out_base)
			return true;
	return false;
}

static void set_number(struct property *t, size_t n)
{
	current.n_mappings = t->model.n_mappings = n;
}

static void replace(struct property *t)
{
	const struct model_mapping *new = &plans[random_below(&t->r, sizeof(plans) / sizeof(*plans))];
	struct model_mapping *old = &mapping_now[new->in_base == mapping_now[1].in_base ? 1 : 2], made;

	if (pool_is_taken(new))
		return;
	made = *new;
	if (current.limited)
		property_random_limits(t, &made);
	add_mapping(&made, &(struct mapping_handover){ true, out_of(old), 3600 });
	mapping_now[current.n_mappings] = *old;
	mapping_now[current.n_mappings].former = true;
	*old = made;
	set_number(t, current.n_mappings + 1);
	t->replaced++;
}

/* Once their sessions have ended. */
static void end_former(struct property *t)
{
	property_skip(t, 7500);
	property_sweep(t);
	while (mapping_now[current.n_mappings - 1].former) {
		const struct model_mapping *m = &mapping_now[current.n_mappings - 1];

		for (size_t i = 0; i < t->model.n; i++)
			cr_assert_neq(t->model.session[i].out_addr & ~(m->out_count - 1), m->out_base);
		cr_assert_eq(mappings_del_of(mappings, 0, in_of(m), out_of(m)), 0);
		set_number(t, current.n_mappings - 1);
	}
	while (mappings_reclaim_step(mappings) != RECLAIM_DONE)
		;
}

void property_change_plan(struct property *t)
{
	size_t former = current.n_mappings - 3;

	if (former > 1 || (former && random_once(&t->r, 4)))
		end_former(t);
	else
		replace(t);
}

/* Which sessions are not those of the mapping that has their address now. */
static void cut_off(struct property *t)
{
	for (size_t i = t->model.n; i-- > 0;) {
		struct model_session *s = &t->model.session[i];

		s->cut = s->out_addr != model_outside_of(&t->model, s->in_addr);
	}
}

/* Sessions of a mapping that is gone are out of reach from both sides. */
static void forget_sessions(struct property *t, const struct model_mapping *of)
{
	for (size_t i = t->model.n; i-- > 0;)
		if (t->model.session[i].out_addr - of->out_base < of->out_count)
			model_remove(&t->model, &t->model.session[i]);
}

void property_end_cut(struct property *t)
{
	property_events_apply();
	while (mappings_reclaim_step(mappings) != RECLAIM_DONE)
		;
	for (size_t i = t->model.n; i-- > 0;)
		if (t->model.session[i].cut)
			model_remove(&t->model, &t->model.session[i]);
	t->left = false;
}

static void delete_exception(struct property *t, size_t at)
{
	const struct model_mapping gone = mapping_now[at];

	cr_assert_eq(mappings_del_of(mappings, 0, in_of(&gone), out_of(&gone)), 0);
	mapping_now[at] = mapping_now[current.n_mappings - 1];
	set_number(t, current.n_mappings - 1);
	forget_sessions(t, &gone);
	cut_off(t);
	count_limits();
	t->left = true;
}

static void add_exception(struct property *t, const struct model_mapping *m)
{
	/* An addition may wait for what is left of others, and so go on ending sessions. */
	if (t->left)
		property_end_cut(t);
	property_events_apply();
	add_mapping(m, NULL);
	mapping_now[current.n_mappings] = *m;
	set_number(t, current.n_mappings + 1);
	cut_off(t);
	t->excepted++;
}

void property_change_exceptions(struct property *t)
{
	const struct model_mapping *m = &exceptions[random_below(&t->r, sizeof(exceptions) / sizeof(*exceptions))];

	if (random_once(&t->r, 3)) {
		property_end_cut(t);
		return;
	}
	for (size_t i = 3; i < current.n_mappings; i++)
		if (mapping_now[i].out_base == m->out_base) {
			delete_exception(t, i);
			return;
		}
	if (current.n_mappings < sizeof(mapping_now) / sizeof(*mapping_now))
		add_exception(t, m);
}
