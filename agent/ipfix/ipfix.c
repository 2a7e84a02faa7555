/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/ipfix.h"

#include <errno.h>
#include <string.h>

#include "base/trouble.h"
#include "ipfix/bindings.h"
#include "ipfix/collector.h"

/* A clock that is behind by more than this was set back; less is a difference between two ways of reading it. */
#define CLOCK_SLACK_MS 1000U

/* Time that TCP collectors get for their queues when the exporter ends. */
#define END_PATIENCE_US 1000000U

/* Sequence number at which a domain continues in the stream to a collector, if the configuration returns to it. */
struct sequence {
	struct collector_endpoint to;
	uint32_t domain_id;
	uint32_t next;
	uint64_t connection; /* connection that `next` belongs to; 0 for UDP, which has one stream */
};

struct ipfix {
	struct ipfix_shared shared;
	struct ipfix_collector *collectors[MAX_COLLECTORS]; /* settings.n_collectors of them if enabled, else none */
	size_t n;
	struct ipfix_figures past; /* of collectors that were removed */
	struct sequence *sequences;
	size_t n_sequences;
	struct ipfix_bindings bindings;		    /* still to be exported */
	struct ipfix_message data[N_IPFIX_LAYOUTS]; /* under construction */
	const struct mappings *mappings;	    /* or NULL */
};

int ipfix_new(struct ipfix **ret)
{
	struct ipfix *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		ipfix_begin_data(&x->data[layout], layout);
	*ret = x;
	return 0;
}

static void advance_clock(struct ipfix *x, uint64_t now_ms)
{
	if (now_ms > x->shared.now_ms || now_ms + CLOCK_SLACK_MS < x->shared.now_ms)
		x->shared.now_ms = now_ms;
}

static void refresh_templates(struct ipfix *x)
{
	for (size_t i = 0; i < x->n; i++)
		ipfix_collector_refresh(x->collectors[i]);
}

static void send_data(struct ipfix *x, enum ipfix_layout layout)
{
	struct ipfix_message *m = &x->data[layout];

	ipfix_finish(m, x->shared.settings.domain_id);
	for (size_t i = 0; i < x->n; i++)
		ipfix_collector_send(x->collectors[i], m);
	ipfix_begin_data(m, layout);
}

static void send_all_data(struct ipfix *x)
{
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		if (x->data[layout].records)
			send_data(x, layout);
}

static void send_gathered(struct ipfix *x)
{
	bool any = false;

	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		any |= x->data[layout].records;
	if (!any)
		return;
	refresh_templates(x);
	send_all_data(x);
}

/*
 * The tenant whose subscriber an event is about, that of its mapping: 0 without tenants, whose template collectors do
 * not have.
 */
static uint32_t tenant_of(const struct ipfix *x, const struct nat_event *e)
{
	if (!x->shared.settings.tenants || e->tenant || !x->mappings)
		return x->shared.settings.tenants ? e->tenant : 0;
	return e->out_addr ? mappings_outside_tenant(x->mappings, e->out_addr) : 0;
}

void ipfix_event(struct ipfix *x, const struct nat_event *of, uint64_t wall_ms)
{
	struct nat_event event = *of, *e = &event;
	struct ipfix_shared *s = &x->shared;
	int layout;

	if (!s->settings.enabled)
		return;
	e->tenant = tenant_of(x, of);
	layout = ipfix_layout_of(e);
	if (layout < 0 || !(s->settings.events & ipfix_layout_event(layout)))
		return;
	if (wall_ms > s->now_ms)
		s->now_ms = wall_ms;
	ipfix_add_record(&x->data[layout], e, wall_ms);
	if (!ipfix_record_fits(&x->data[layout], layout, s->settings.path_mtu - IPFIX_PACKET_HEADERS)) {
		refresh_templates(x);
		send_data(x, layout);
	}
}

void ipfix_set_ring_losses(struct ipfix *x, uint64_t events)
{
	struct ipfix_losses *ring = &x->shared.ring;

	if (events == ring->lost)
		return;
	ring->lost = events;
	ring->last_ms = x->shared.now_ms;
	if (!ring->first_ms)
		ring->first_ms = x->shared.now_ms;
}

void ipfix_on_mappings(struct ipfix *x, const struct mappings *m)
{
	x->mappings = m;
}

const struct mappings *ipfix_mappings(const struct ipfix *x)
{
	return x->mappings;
}

void ipfix_mapping(struct ipfix *x, const struct geometry *geo, struct address_range of, uint8_t tenant, bool made,
		   uint64_t wall_ms)
{
	const struct config_ipfix *c = &x->shared.settings;

	if (c->enabled && c->events & IPFIX_ADDRESSES)
		ipfix_bindings_add(&x->bindings, geo, of, tenant, made, wall_ms);
}

void ipfix_portmap(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms)
{
	const struct config_ipfix *c = &x->shared.settings;

	if (c->enabled && c->events & IPFIX_PORTMAPS)
		ipfix_bindings_add_portmap(&x->bindings, e, wall_ms);
}

static void tell_bindings(struct ipfix *x)
{
	struct nat_event e;
	uint64_t wall_ms;

	for (unsigned i = 0; i < IPFIX_BINDINGS_PER_TICK && ipfix_bindings_next(&x->bindings, &e, &wall_ms); i++)
		ipfix_event(x, &e, wall_ms);
}

/* Retries to bind a UDP collector whose source was not available; a TCP collector does so when it connects. */
static void find_source(struct ipfix *x, struct ipfix_collector *c)
{
	int own[MAX_COLLECTORS];
	struct error err = { 0 };
	size_t n_own = 0;

	if (c->to.transport != IPFIX_UDP || c->socket.fd >= 0)
		return;
	for (size_t i = 0; i < x->n; i++)
		if (x->collectors[i]->to.transport == IPFIX_UDP && x->collectors[i]->socket.fd >= 0)
			own[n_own++] = x->collectors[i]->socket.fd;
	ipfix_collector_bind(c, x->shared.settings.source, own, n_own, &err);
}

static void tell_trouble(const struct ipfix *x)
{
	char to[COLLECTOR_TEXT];

	for (size_t i = 0; i < x->n; i++) {
		const char *text = ipfix_collector_trouble(x->collectors[i]);

		if (!text)
			continue;
		trouble_set(TROUBLE_IPFIX, "ipfix: collector %s: %s; `detnatctl ipfix show` counts lost records",
			    collector_format(x->collectors[i]->to, to), text);
		return;
	}
	trouble_clear(TROUBLE_IPFIX);
}

void ipfix_tick(struct ipfix *x, uint64_t now_ms)
{
	advance_clock(x, now_ms);
	for (size_t i = 0; i < x->n; i++)
		find_source(x, x->collectors[i]);
	tell_bindings(x);
	send_gathered(x);
	for (size_t i = 0; i < x->n; i++)
		ipfix_collector_tick(x->collectors[i]);
	tell_trouble(x);
}

void ipfix_flush(struct ipfix *x, uint64_t now_ms)
{
	if (!x->shared.settings.enabled)
		return;
	advance_clock(x, now_ms);
	for (size_t i = 0; i < x->n; i++)
		ipfix_collector_send_templates(x->collectors[i]);
	tell_bindings(x);
	send_all_data(x);
}

static struct sequence *find_sequence(struct ipfix *x, const struct collector_endpoint *to, uint32_t domain_id)
{
	for (size_t i = 0; i < x->n_sequences; i++)
		if (x->sequences[i].domain_id == domain_id && collector_same(x->sequences[i].to, *to))
			return &x->sequences[i];
	return NULL;
}

/* Allocates the sequences of all collectors of a configuration, so that nothing can fail later. */
static int prepare_sequences(struct ipfix *x, const struct config_ipfix *c)
{
	for (uint32_t i = 0; c->enabled && i < c->n_collectors; i++) {
		struct sequence *grown;

		if (find_sequence(x, &c->collectors[i], c->domain_id))
			continue;
		grown = reallocarray(x->sequences, x->n_sequences + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		grown[x->n_sequences++] = (struct sequence){ .to = c->collectors[i], .domain_id = c->domain_id };
		x->sequences = grown;
	}
	return 0;
}

static uint64_t connection_of(const struct ipfix_collector *c)
{
	return c->to.transport == IPFIX_TCP ? c->socket.connections : 0;
}

static void save_sequence(struct ipfix *x, struct ipfix_collector *c)
{
	struct sequence *s = find_sequence(x, &c->to, x->shared.settings.domain_id);

	s->next = ipfix_collector_end_domain(c);
	s->connection = connection_of(c);
}

static void load_sequence(struct ipfix *x, struct ipfix_collector *c)
{
	const struct sequence *s = find_sequence(x, &c->to, x->shared.settings.domain_id);

	ipfix_collector_begin_domain(c, s->connection == connection_of(c) ? s->next : 0);
}

static bool same_settings(const struct config_ipfix *a, const struct config_ipfix *b)
{
	if (a->enabled != b->enabled || a->n_collectors != b->n_collectors || !endpoint_equal(a->source, b->source))
		return false;
	for (uint32_t i = 0; i < a->n_collectors; i++)
		if (!collector_same(a->collectors[i], b->collectors[i]))
			return false;
	return a->domain_id == b->domain_id && a->path_mtu == b->path_mtu &&
	       a->template_interval == b->template_interval && a->events == b->events && a->tenants == b->tenants;
}

static struct ipfix_collector *find_collector(const struct ipfix *x, const struct collector_endpoint *to)
{
	for (size_t i = 0; i < x->n; i++)
		if (collector_same(x->collectors[i]->to, *to))
			return x->collectors[i];
	return NULL;
}

static void add_figures(struct ipfix_figures *sum, const struct ipfix_figures *f)
{
	sum->records_sent += f->records_sent;
	sum->messages_sent += f->messages_sent;
	sum->records_lost += f->records_lost;
}

static void remove_collector(struct ipfix *x, struct ipfix_collector *c, uint64_t end_us)
{
	struct ipfix_figures figures;

	ipfix_collector_free(c, end_us, &figures);
	add_figures(&x->past, &figures);
}

/* The collectors of the new configuration: those that stay, and new ones. */
struct change {
	struct ipfix_collector *collectors[MAX_COLLECTORS];
	bool fresh[MAX_COLLECTORS];
	size_t n;
};

static void drop_fresh(struct change *ch)
{
	for (size_t i = 0; i < ch->n; i++)
		if (ch->fresh[i])
			ipfix_collector_free(ch->collectors[i], 0, NULL);
}

static int make_collectors(struct ipfix *x, const struct config_ipfix *c, bool wait, struct change *ch,
			   struct error *err)
{
	bool same_source = endpoint_equal(x->shared.settings.source, c->source);
	int own[2 * MAX_COLLECTORS];
	size_t n_own = 0;

	for (size_t i = 0; i < x->n; i++)
		if (x->collectors[i]->to.transport == IPFIX_UDP && x->collectors[i]->socket.fd >= 0)
			own[n_own++] = x->collectors[i]->socket.fd;
	for (uint32_t i = 0; c->enabled && i < c->n_collectors; i++) {
		const struct collector_endpoint *to = &c->collectors[i];
		struct ipfix_collector *one = same_source ? find_collector(x, to) : NULL;
		int r = 0;

		ch->fresh[i] = !one;
		if (!one)
			r = ipfix_collector_new(&x->shared, to, c->source, wait, own, n_own, &one, err);
		if (r) {
			drop_fresh(ch);
			return r;
		}
		ch->collectors[ch->n++] = one;
		if (ch->fresh[i] && to->transport == IPFIX_UDP && one->socket.fd >= 0)
			own[n_own++] = one->socket.fd;
	}
	return 0;
}

static bool stays(const struct change *ch, const struct ipfix_collector *c)
{
	for (size_t i = 0; i < ch->n; i++)
		if (ch->collectors[i] == c)
			return true;
	return false;
}

/* From here on nothing fails. */
static void apply(struct ipfix *x, const struct config_ipfix *c, const struct change *ch)
{
	bool same_domain = x->shared.settings.domain_id == c->domain_id;

	send_gathered(x);
	for (size_t i = 0; i < x->n; i++) {
		struct ipfix_collector *old = x->collectors[i];

		if (!same_domain || !stays(ch, old))
			save_sequence(x, old);
		if (!stays(ch, old))
			remove_collector(x, old, 0);
	}
	x->shared.settings = *c;
	x->n = ch->n;
	for (size_t i = 0; i < ch->n; i++) {
		struct ipfix_collector *one = x->collectors[i] = ch->collectors[i];

		if (!same_domain || ch->fresh[i])
			load_sequence(x, one);
		one->templates_due = true;
		if (one->socket.fd >= 0)
			ipfix_collector_mended(one);
		if (ch->fresh[i])
			ipfix_collector_start(one);
	}
}

static int configure(struct ipfix *x, const struct config_ipfix *c, bool wait, struct error *err)
{
	struct change ch = { 0 };
	int r;

	if (c->enabled && (c->path_mtu < IPFIX_MIN_PATH_MTU || c->path_mtu > IPFIX_MAX_PATH_MTU))
		return error_set(err, -EINVAL, "ipfix.path_mtu: %u is not within %u..%u", c->path_mtu,
				 IPFIX_MIN_PATH_MTU, IPFIX_MAX_PATH_MTU);
	if (same_settings(&x->shared.settings, c))
		return 0;
	if (prepare_sequences(x, c))
		return error_set(err, -ENOMEM, "out of memory");
	r = make_collectors(x, c, wait, &ch, err);
	if (r)
		return r;
	apply(x, c, &ch);
	return 0;
}

int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err)
{
	return configure(x, c, false, err);
}

int ipfix_configure_waiting(struct ipfix *x, const struct config_ipfix *c, struct error *err)
{
	return configure(x, c, true, err);
}

void ipfix_free(struct ipfix *x)
{
	if (!x)
		return;

	uint64_t end_us = monotonic_us() + END_PATIENCE_US;

	send_gathered(x);
	ipfix_bindings_clear(&x->bindings);
	for (size_t i = 0; i < x->n; i++)
		remove_collector(x, x->collectors[i], end_us);
	free(x->sequences);
	free(x);
}

struct ipfix_figures ipfix_figures(const struct ipfix *x)
{
	struct ipfix_figures sum = x->past;

	for (size_t i = 0; i < x->n; i++)
		add_figures(&sum, &x->collectors[i]->figures);
	return sum;
}

size_t ipfix_stats(const struct ipfix *x, struct ipfix_collector_stats ret[MAX_COLLECTORS])
{
	for (size_t i = 0; i < x->n; i++) {
		const struct ipfix_collector *c = x->collectors[i];

		ret[i] = (struct ipfix_collector_stats){
			.collector = c->to,
			.figures = c->figures,
			.records_waiting = c->queue.events,
			.queue_octets = c->queue.octets,
			.reconnects = c->socket.connections > 1 ? c->socket.connections - 1 : 0,
			.connected = c->socket.connected,
		};
	}
	return x->n;
}
