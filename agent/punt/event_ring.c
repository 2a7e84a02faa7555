/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/event_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <detnat/events.h>

#include "base/inside_runs.h"
#include "base/limiter.h"
#include "base/log.h"
#include "base/notice.h"
#include "config/config.h"
#include "host/ring_reader.h"
#include "host/timer.h"
#include "proto/words.h"
#include "punt/event_notices_private.h"

/* A smaller difference between two readings is no step of the clock. */
#define CLOCK_NOISE_NS (10 * (int64_t)NS_PER_MS)

struct events {
	const struct datapath *datapath;
	const struct active_config *active;
	struct ipfix *ipfix;
	events_resolve resolve;
	void *arg;
	events_growth ask; /* NULL: no blocks are granted */
	void *ask_arg;
	struct ring_reader *ring;
	struct event *timer;
	uint64_t now_ns;	/* CLOCK_MONOTONIC at the start of this turn */
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC, then */
	uint64_t set_ns;	/* when a step of CLOCK_REALTIME was last noticed */
	int64_t offset_before_set_ns;
	uint64_t unlogged; /* refusals not logged, as the minute's lines were used up */
	uint64_t unlogged_until_ns;
	uint64_t losses_logged; /* events that did not fit in the ring buffer, as last logged */
	uint64_t losses_logged_until_ns;
	struct limiter_place lines[EVENTS_LINES];
	struct limiter_place told[EVENTS_TOLD]; /* subscriber and kind of refusal */
	struct limiter_place resolves[EVENTS_RESOLVES];
};

static void read_clocks(struct events *v)
{
	uint64_t before = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME);
	int64_t offset = (int64_t)(wall - before), by = offset - v->wall_offset_ns;
	bool known = v->now_ns;

	v->now_ns = clock_ns(CLOCK_MONOTONIC);
	/* The thread had to wait in between; the offset is not that far off. */
	if (known && v->now_ns - before > CLOCK_NOISE_NS / 2)
		return;
	if (known && (by > CLOCK_NOISE_NS || by < -CLOCK_NOISE_NS)) {
		v->offset_before_set_ns = v->wall_offset_ns;
		v->set_ns = v->now_ns;
	}
	v->wall_offset_ns = offset;
}

/* CLOCK_REALTIME at a time of CLOCK_MONOTONIC. An event has the clock's time of that moment. */
static uint64_t wall_ns(const struct events *v, uint64_t monotonic_ns)
{
	int64_t offset = monotonic_ns < v->set_ns ? v->offset_before_set_ns : v->wall_offset_ns;

	return monotonic_ns + (uint64_t)offset;
}

static const char *protocol_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	default:
		return "ICMP";
	}
}

static void log_refusal(const struct nat_event *e, const struct mappings *m)
{
	const struct event_text t = event_text_of(e, m);
	char list[ADDR_TEXT + LABEL_TEXT + 12];

	snprintf(list, sizeof(list), "%s%s%s", t.in, *t.tenant ? " --tenant " : "", t.tenant);
	switch (e->type) {
	case EVENT_QUOTA:
		log_warning("subscriber %s is at its quota of %u sessions and was refused another; "
			    "`detnatctl session list %s` shows them, sessions_per_user raises the quota",
			    t.who, e->limit, list);
		break;
	case EVENT_QUOTA_PROTOCOL:
		log_warning("subscriber %s is at its limit of %u sessions of %s and was refused another; "
			    "`detnatctl session list %s` shows them, limits of its mapping sets another",
			    t.who, e->limit, protocol_name(e->proto), list);
		break;
	case EVENT_RATE:
		log_warning("subscriber %s was refused a session, as it opens more than %u a second; "
			    "`detnatctl session list %s` shows them, new_per_second of its mapping's limits sets "
			    "another rate",
			    t.who, e->limit, list);
		break;
	case EVENT_PORTS_EXHAUSTED:
		log_warning("subscriber %s has no free port left in its block for %s towards %s:%u; "
			    "`detnatctl session list %s` shows its sessions, more outside addresses make larger blocks",
			    t.who, protocol_name(e->proto), t.ext, e->ext_port, list);
		break;
	case EVENT_EXTENTS_FULL:
		log_warning("subscriber %s was refused a session: its slots are full, and so is the room beyond them; "
			    "raise session_slots of its mapping, or overflow_sessions",
			    t.who);
		break;
	case EVENT_FRAGMENTS:
		log_warning("subscriber %s has %u fragments waiting for their first one: limit reached, another "
			    "fragment dropped; fragments.per_subscriber raises the limit",
			    t.who, e->limit);
		break;
	}
}

/* Limits the log lines about a subscriber's refusals. */
static void report_refusal(struct events *v, const struct nat_event *e)
{
	uint64_t key = (uint64_t)e->type << 40 | inside_place((uint8_t)e->tenant, e->in_addr);
	struct limiter_place *told = limiter_recall(v->told, EVENTS_TOLD, key);

	if (told->key == key && told->until_ns > v->now_ns)
		return;
	switch (limiter_ask(v->lines, EVENTS_LINES, key, v->now_ns, 60 * NS_PER_S)) {
	case LIMITER_GO:
		*told = (struct limiter_place){ .key = key, .until_ns = v->now_ns + 3600 * NS_PER_S };
		log_refusal(e, ipfix_mappings(v->ipfix));
		break;
	case LIMITER_AGAIN:
		break;
	case LIMITER_CROWDED:
		v->unlogged++;
		break;
	}
}

static void report_unlogged(struct events *v)
{
	if (!v->unlogged || v->now_ns < v->unlogged_until_ns)
		return;
	log_warning("%llu further refusals, of subscribers not named here; `detnatctl top --by quota` shows them",
		    (unsigned long long)v->unlogged);
	v->unlogged = 0;
	v->unlogged_until_ns = v->now_ns + 60 * NS_PER_S;
}

static void report_unresolved(struct events *v, const struct nat_event *e)
{
	uint32_t addr = htonl(e->in_addr), last = e->in_addr;
	bool ipv6 = e->type == EVENT_RESOLVE_IPV6, router = e->limit;
	enum limiter_verdict may;

	if (ipv6)
		memcpy(&last, e->gateway + 12, sizeof(last));
	may = limiter_ask(v->resolves, EVENTS_RESOLVES, (uint64_t)e->ifindex << 32 | last, v->now_ns, NS_PER_S);
	if (may == LIMITER_GO || (may == LIMITER_CROWDED && router))
		v->resolve(v->arg, ipv6 ? AF_INET6 : AF_INET, ipv6 ? (const void *)e->gateway : &addr, e->ifindex,
			   router);
}

/* The tenant of the mapping that an event is about, which its outside address tells: 0 without tenants. */
static uint8_t tenant_of(const struct events *v, const struct nat_event *e)
{
	const struct config *c = v->active ? v->active->config : NULL;
	const struct mappings *m = ipfix_mappings(v->ipfix);
	int number = -1;

	if (c && c->n_tenants && m && !e->tenant && e->out_addr && e->type != EVENT_RESOLVE_IPV6)
		number = mappings_find_outside(m, e->out_addr);
	return number < 0 ? (uint8_t)e->tenant : mappings_get(m, number)->tenant;
}

static void dispatch(struct events *v, const struct nat_event *of)
{
	struct nat_event event = *of, *e = &event;

	e->tenant = tenant_of(v, of);
	switch (e->type) {
	case EVENT_QUOTA:
	case EVENT_QUOTA_PROTOCOL:
	case EVENT_RATE:
	case EVENT_PORTS_EXHAUSTED:
	case EVENT_EXTENTS_FULL:
	case EVENT_FRAGMENTS:
		report_refusal(v, e);
		break;
	case EVENT_GROWTH:
		if (v->ask)
			v->ask(v->ask_arg, inside_place((uint8_t)e->tenant, e->in_addr), e->time_ns);
		return;
	case EVENT_RESOLVE:
	case EVENT_RESOLVE_IPV6:
		report_unresolved(v, e);
		return;
	}
	ipfix_event(v->ipfix, e, wall_ns(v, e->time_ns) / NS_PER_MS);
	event_notice(e, wall_ns(v, e->time_ns), v->active ? v->active->config : NULL, ipfix_mappings(v->ipfix));
}

void events_on_growth(struct events *v, events_growth ask, void *arg)
{
	v->ask = ask;
	v->ask_arg = arg;
}

void events_clock_set(void *arg)
{
	struct events *v = arg;

	ring_reader_turn(v->ring);
}

void events_report(struct events *v, const struct nat_event *e)
{
	read_clocks(v);
	dispatch(v, e);
}

static void on_turn(void *arg)
{
	read_clocks(arg);
}

static void on_sample(void *arg, void *data, size_t size)
{
	if (size >= sizeof(struct nat_event))
		dispatch(arg, data);
}

static const struct ring_reader_ops events_ring = {
	.budget = EVENTS_PER_TURN,
	.turn_begins = on_turn,
	.sample = on_sample,
};

/* The operator gets a line a minute; the exporter reports losses to its collectors. */
static void report_ring_losses(struct events *v)
{
	struct counters c;

	if (datapath_counters(v->datapath, &c) || !c.events_lost)
		return;
	ipfix_set_ring_losses(v->ipfix, c.events_lost);
	if (c.events_lost == v->losses_logged || v->now_ns < v->losses_logged_until_ns)
		return;
	log_warning("%llu more events found the ring buffer full and are lost: more occur than this machine can "
		    "export; leave `sessions` out of ipfix.events",
		    (unsigned long long)(c.events_lost - v->losses_logged));
	v->losses_logged = c.events_lost;
	v->losses_logged_until_ns = v->now_ns + 60 * NS_PER_S;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct events *v = arg;

	ring_reader_turn(v->ring);
	report_unlogged(v);
	report_ring_losses(v);
	ipfix_tick(v->ipfix, wall_clock_ms());
}

int events_new(struct event_base *base, const struct datapath *d, const struct active_config *active, struct ipfix *x,
	       events_resolve resolve, void *arg, struct events **ret, struct error *err)
{
	struct events *v = calloc(1, sizeof(*v));
	struct counters counters;
	int r;

	if (!v)
		return error_set(err, -ENOMEM, "out of memory");
	v->datapath = d;
	v->active = active;
	v->ipfix = x;
	if (!datapath_counters(d, &counters))
		v->losses_logged = counters.events_lost;
	v->resolve = resolve;
	v->arg = arg;
	read_clocks(v);
	v->timer = timer_each_second(base, on_second, v);
	r = v->timer ? 0 : -ENOMEM;
	if (!r)
		r = ring_reader_new(base, d->events, &events_ring, v, &v->ring);
	if (r) {
		events_free(v);
		return error_set(err, r, "cannot read the datapath's events: %s", strerror(-r));
	}
	*ret = v;
	return 0;
}

void events_free(struct events *v)
{
	if (!v)
		return;
	if (v->timer)
		event_free(v->timer);
	if (v->ring)
		ring_reader_turn(v->ring);
	ring_reader_free(v->ring);
	free(v);
}

int events_session_closed(const struct session *s, void *arg)
{
	const struct nat_event e = {
		.type = EVENT_SESSION_CLOSED,
		.proto = s->proto,
		.in_addr = s->in_addr,
		.out_addr = s->out_addr,
		.ext_addr = s->ext_addr,
		.in_port = s->in_port,
		.out_port = s->out_port,
		.ext_port = s->ext_port,
		.limit = s->host_number,
		.tenant = s->tenant,
	};

	uint64_t wall_ns = s->ended_ns ? s->ended_ns : clock_ns(CLOCK_REALTIME);

	ipfix_event(arg, &e, wall_ns / NS_PER_MS);
	event_notice(&e, wall_ns, NULL, ipfix_mappings(arg));
	return 0;
}

/* Reports a granted block, or its end, by an act of this gateway's own: a peer reports its own acts. */
void events_grant_changed(void *arg, const struct grant *grant, bool made)
{
	const struct nat_event e = {
		.type = made ? EVENT_BLOCK_GRANTED : EVENT_BLOCK_ENDED,
		.in_addr = grant->in_addr,
		.out_addr = grant->out_addr,
		.tenant = grant->tenant,
		.out_port = grant->port_lo,
		.ext_port = (uint16_t)(grant->port_lo + grant->ports - 1),
	};

	if (made ? grant->peer : grant->yields)
		return;
	ipfix_event(arg, &e, wall_clock_ms());
	if (notice_wanted(NOTICE_GRANTS))
		event_grant_notice(&e, made, ipfix_mappings(arg));
}

void events_portmap_changed(void *arg, const struct portmap *m, bool made)
{
	const struct nat_event e = {
		.type = made ? EVENT_PORTMAP_MADE : EVENT_PORTMAP_ENDED,
		.proto = m->proto,
		.in_addr = m->in.addr,
		.out_addr = m->out.addr,
		.tenant = m->tenant,
		.in_port = m->in.port,
		.out_port = m->out.port,
	};

	ipfix_portmap(arg, &e, wall_clock_ms());
}
