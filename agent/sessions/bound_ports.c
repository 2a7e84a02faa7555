// SPDX-License-Identifier: BSD-2-Clause
#include "sessions/bound_ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/binding.h>

#include "sessions/granted_ports.h"
#include "sessions/sessions.h"
#include "sessions/sessions_private.h"

static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };

/* The first entry of a group, and the number of entries. */
static uint64_t *group_of(const struct subscriber_iterator *it, uint8_t proto, uint32_t group, uint32_t *ret_n)
{
	*ret_n = group_size(group << PORT_GROUP_SHIFT, it->map->geo.ports_per_host);
	return mappings_binding(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr), proto,
				group << PORT_GROUP_SHIFT);
}

/*
 * An established connection keeps its binding after its end as long as any session; otherwise a packet from inside
 * counts (RFC 4787 REQ-6). A session opened from outside begins with the binding's own stamp, so that it keeps the port
 * no longer, unless the inside answers or packets from outside refresh (REQ-6a); an unanswered SYN keeps none.
 */
void binding_keep(const struct mappings *m, int number, uint32_t in_addr, uint64_t key, uint64_t word, uint32_t now)
{
	const struct geometry *g = &mappings_get(m, number)->geo;
	uint32_t subscriber = mapping_subscriber(g, in_addr);
	uint32_t offset = word_out_port(word) - mapping_port_lo(g, subscriber);
	uint64_t *entry;

	if ((word_state(word) & ~SESSION_RESET) == SESSION_SYN_RECEIVED)
		return;
	if (offset >= g->ports_per_host) {
		granted_port_keep(m, number,
				  &(struct granted_port){ .in_addr = in_addr,
							  .out_addr = mapping_out_addr(g, subscriber),
							  .in_port = key_in_port(key),
							  .out_port = word_out_port(word),
							  .proto = word_proto(word) },
				  word, now);
		return;
	}
	entry = mappings_binding(m, number, subscriber, word_proto(word), offset);
	if (entry && binding_is_of(LOAD(*entry), key_in_port(key)))
		binding_raise((__u64 *)entry, word_state(word) == SESSION_ESTABLISHED ? now : word_seen(word));
}

static void keep_those_of_sessions(const struct subscriber_iterator *it)
{
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		uint64_t key, word;

		if (slot_read(subscriber_slot(it, i), &key, &word) && !too_old(&it->limits, word, it->now))
			binding_keep(it->m, it->number, it->in_addr, key, word, it->now);
	}
}

/*
 * A binding is removed half a lifetime late: a session beyond the slots, which is looked at last, may have been
 * refreshed since the sweep before. One of port 0, of a release of before, goes at once.
 */
static void remove_expired(const struct subscriber_iterator *it, uint8_t proto)
{
	uint32_t life = it->map->timeout_ticks[binding_timeout(proto)], late = life + life / 2 + 1, n;
	uint32_t first = mapping_port_lo(&it->map->geo, mapping_subscriber(&it->map->geo, it->in_addr));

	for (uint32_t group = 0; group < binding_groups(it->map->geo.ports_per_host); group++) {
		uint64_t *entry = group_of(it, proto, group, &n);

		for (uint32_t k = 0; entry && k < n; k++) {
			uint64_t now = LOAD(entry[k]);

			if (binding_is_bound(now) &&
			    (binding_expired(now, it->now, late) || !(first + group * PORT_GROUP + k)))
				binding_change((__u64 *)&entry[k], now, binding_freed(now));
		}
	}
}

void bindings_sweep(struct subscriber_iterator *it)
{
	if (!it->map->bindings.protocols)
		return;
	keep_those_of_sessions(it);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (!(it->map->bindings.protocols & binding_protocol(protocols[i])))
			continue;
		remove_expired(it, protocols[i]);
		it->cost += it->map->geo.ports_per_host;
	}
}

struct binding_walk {
	struct subscriber_iterator it;
	struct port_sessions *sessions; /* NULL: they are not counted */
	uint64_t deadline_us;
	int error;
	binding_visit visit;
	bool (*wait)(void *arg);
	void *arg;
};

static int visit_group(const struct subscriber_iterator *it, uint8_t proto, uint32_t group,
		       const struct binding_walk *w)
{
	const struct geometry *g = &it->map->geo;
	uint32_t subscriber = mapping_subscriber(g, it->in_addr), n,
		 life = it->map->timeout_ticks[binding_timeout(proto)];
	const uint64_t *entry = group_of(it, proto, group, &n);
	int r = 0;

	for (uint32_t k = 0; entry && k < n && !r; k++) {
		uint16_t out_port = (uint16_t)(mapping_port_lo(g, subscriber) + (group << PORT_GROUP_SHIFT) + k);
		uint64_t now = LOAD(entry[k]);
		int32_t age = (int32_t)(it->now - binding_seen(now));

		if (!binding_holds(now, it->now, life))
			continue;
		r = w->visit(&(struct binding){ .in_addr = it->in_addr,
						.out_addr = mapping_out_addr(g, subscriber),
						.in_port = binding_in_port(now),
						.out_port = out_port,
						.proto = proto,
						.expires = seconds_of_ticks(life - (age > 0 ? (uint32_t)age : 0),
									    mappings_datapath(it->m)->hz),
						.sessions = w->sessions ? port_sessions_of(w->sessions, proto, out_port)
									: 0 },
			     w->arg);
	}
	return r;
}

static int visit_bindings(struct subscriber_iterator *it, void *arg)
{
	struct binding_walk *w = arg;
	int r = 0;

	it->cost = 1;
	if (!it->map->bindings.mapping)
		return 0;
	if (w->wait && w->wait(w->arg))
		return 1;
	r = w->sessions ? port_sessions_gather(w->sessions, it->kind, subscriber_place(it), w->deadline_us) : 0;
	if (r) {
		w->error = r < 0 ? r : 0;
		return 1;
	}
	it->cost = it->map->geo.ports_per_host * binding_count(it->map->bindings.mapping);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		/* Entries left until the protocol is turned on again are no bindings. */
		if (!(it->map->bindings.mapping & binding_protocol(protocols[i])))
			continue;
		for (uint32_t group = 0; !r && group < binding_groups(it->map->geo.ports_per_host); group++)
			r = visit_group(it, protocols[i], group, w);
	}
	return r;
}

int bindings_visit(struct subscriber_iterator *it, binding_visit visit, void *arg)
{
	return visit_bindings(it, &(struct binding_walk){ .visit = visit, .arg = arg });
}

/* Takes over the walk over the sessions. */
static int walk_new(struct mappings *m, struct session_walk *sessions, struct binding_walk **ret)
{
	struct binding_walk *w = calloc(1, sizeof(*w));

	if (!w) {
		session_walk_free(sessions);
		return -ENOMEM;
	}
	session_walk_skip_idle(sessions);
	w->sessions = port_sessions_new(sessions);
	if (!w->sessions) {
		free(w);
		return -ENOMEM;
	}
	subscriber_iterator_init(&w->it, m);
	*ret = w;
	return 0;
}

int binding_walk_new(struct mappings *m, struct binding_walk **ret)
{
	struct session_walk *sessions;
	int r = session_walk_new(m, &sessions);

	return r ? r : walk_new(m, sessions, ret);
}

int binding_walk_new_subscriber(struct mappings *m, uint64_t place, struct binding_walk **ret)
{
	struct session_walk *sessions;
	int r = session_walk_new_subscriber(m, place, &sessions);

	if (r)
		return r;
	place = session_walk_place(sessions);
	r = walk_new(m, sessions, ret);
	if (!r)
		(*ret)->it.next = (*ret)->it.last = place;
	return r;
}

void binding_walk_free(struct binding_walk *w)
{
	if (!w)
		return;
	port_sessions_free(w->sessions);
	free(w);
}

int binding_walk_step(struct binding_walk *w, unsigned budget_us, binding_visit visit, bool (*wait)(void *arg),
		      void *arg)
{
	int r;

	w->visit = visit;
	w->wait = wait;
	w->arg = arg;
	w->deadline_us = monotonic_us() + budget_us;
	w->error = 0;
	r = subscriber_iterate(&w->it, w->deadline_us, visit_bindings, w);
	return w->error ? w->error : r;
}

static int count_one(const struct binding *b, void *arg)
{
	(void)b;
	*(uint32_t *)arg += 1;
	return 0;
}

uint32_t bindings_count(struct mappings *m, uint64_t place)
{
	struct binding_walk w = { .visit = count_one };
	uint32_t n = 0;

	w.arg = &n;
	if (!subscriber_find(&w.it, m, place))
		visit_bindings(&w.it, &w);
	return n;
}

static void hold(struct held_ports *h, uint16_t port)
{
	h->others[port / 8] |= (uint8_t)(1 << port % 8);
}

static void add_sessions(const struct subscriber_iterator *it, uint16_t in_port, uint8_t proto, struct held_ports *h)
{
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		uint64_t key, word;

		if (slot_read(subscriber_slot(it, i), &key, &word) && word_proto(word) == proto &&
		    key_in_port(key) != in_port && counts_now(&it->limits, word, it->now))
			hold(h, word_out_port(word));
	}
}

static void add_bindings(const struct subscriber_iterator *it, uint16_t in_port, uint8_t proto, struct held_ports *h)
{
	const struct geometry *g = &it->map->geo;
	uint32_t subscriber = mapping_subscriber(g, it->in_addr), life = it->map->timeout_ticks[binding_timeout(proto)];
	uint16_t port_lo = mapping_port_lo(g, subscriber);

	for (uint32_t offset = 0; offset < g->ports_per_host; offset++) {
		const uint64_t *at = mappings_binding(it->m, it->number, subscriber, proto, offset);
		uint64_t entry = at ? LOAD(*at) : 0;

		if (!binding_holds(entry, it->now, life))
			continue;
		if (binding_in_port(entry) == in_port)
			h->own = (uint16_t)(port_lo + offset);
		else
			hold(h, (uint16_t)(port_lo + offset));
	}
}

void held_ports_find(struct mappings *m, uint8_t tenant, struct endpoint in, uint8_t proto, struct held_ports *ret)
{
	struct subscriber_iterator it;

	memset(ret, 0, sizeof(*ret));
	if (subscriber_find(&it, m, inside_place(tenant, in.addr)))
		return;
	add_sessions(&it, in.port, proto, ret);
	if (it.map->bindings.mapping & binding_protocol(proto))
		add_bindings(&it, in.port, proto, ret);
}
