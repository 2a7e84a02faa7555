// SPDX-License-Identifier: BSD-2-Clause
#include "control/answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "diagnosis/doctor.h"
#include "links/devices.h"
#include "proto/words.h"
#include "tables/mapping_drains.h"

cJSON *answer_empty(struct request *r)
{
	return cJSON_CreateObject();
}

bool json_add_addr(cJSON *object, const char *name, uint32_t addr)
{
	char text[ADDR_TEXT];

	return cJSON_AddStringToObject(object, name, addr_format(addr, text));
}

bool json_add_prefix(cJSON *object, const char *name, struct prefix p)
{
	char text[INSIDE_TEXT];

	return cJSON_AddStringToObject(object, name, inside_prefix_text(p, text));
}

bool json_add_inside(cJSON *object, uint32_t in_addr)
{
	char text[INSIDE_TEXT];

	inside_text(in_addr, text);
	return cJSON_AddStringToObject(object, strchr(text, ':') ? "in_prefix" : "in_addr", text);
}

void json_add_hosts(cJSON *object, struct mappings *m, uint32_t in_addr)
{
	cJSON *list = cJSON_AddArrayToObject(object, "hosts");
	struct subscriber_hosts h;
	char text[INSIDE_TEXT];

	if (!list || subscriber_hosts_read(m, in_addr, &h))
		return;
	for (unsigned i = 0; i < h.n; i++) {
		cJSON *host = cJSON_CreateObject();

		cJSON_AddStringToObject(host, "addr", address6_text(&h.addr[i], text));
		json_add_u64(host, "sessions", h.sessions[i]);
		cJSON_AddItemToArray(list, host);
	}
}

void json_add_ext(cJSON *object, const struct mappings *m, uint32_t in_addr, uint32_t ext_addr)
{
	int number = m && virtual6_is(in_addr) ? mappings_find_any(m, in_addr) : -1;
	char text[INSIDE_TEXT];
	struct address6 six;

	json_add_addr(object, "ext_addr", ext_addr);
	if (number < 0)
		return;
	six = mappings_ext6(m, mappings_get(m, number), ext_addr);
	cJSON_AddStringToObject(object, "ext_addr6", address6_text(&six, text));
}

bool json_add_endpoint(cJSON *object, const char *name, struct endpoint e)
{
	char text[ADDR_TEXT + 8], addr[ADDR_TEXT];

	snprintf(text, sizeof(text), "%s:%u", addr_format(e.addr, addr), e.port);
	return cJSON_AddStringToObject(object, name, text);
}

bool json_add_name(cJSON *object, const char *name, const char *text)
{
	return *text ? cJSON_AddStringToObject(object, name, text) : cJSON_AddNullToObject(object, name);
}

void json_add_mapping_name(cJSON *object, const char *key, const struct config *c, const struct mapping *m)
{
	const char *name =
		config_mapping_name(c, tenant_name(c, m->tenant), geometry_in(&m->geo), geometry_out(&m->geo));
	const char *tenant = tenant_name(c, m->tenant);

	if (*name)
		cJSON_AddStringToObject(object, key, name);
	if (*tenant)
		cJSON_AddStringToObject(object, "tenant", tenant);
}

bool json_add_u64(cJSON *object, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cJSON_AddRawToObject(object, name, text);
}

bool json_add_blocks(cJSON *object, const struct geometry *g)
{
	struct plan_blocks b = plan_blocks_of(g);

	return plan_blocks_default(&b) ||
	       (json_add_u64(object, "first_port", b.first_port) && json_add_u64(object, "block_pitch", b.pitch) &&
		cJSON_AddStringToObject(object, "order", b.netmap ? "netmap" : "sequential"));
}

struct counting {
	struct session_counter *counter;
	struct session_count count;
	answer_count answer;
};

static void counting_free(void *state)
{
	struct counting *c = state;

	session_counter_free(c->counter);
	free(c);
}

static int counting_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct counting *c = r->state;
	int ret = session_counter_step(c->counter, REQUEST_COUNT_US, &c->count);

	if (ret < 0)
		return error_set(err, ret, "the sessions could not be counted: %s", strerror(-ret));
	if (ret)
		return 1;
	*ret_result = c->answer(r, &c->count);
	return *ret_result ? 0 : error_set(err, -ENOMEM, "the agent is out of memory");
}

int request_count(struct request *r, answer_count answer, struct error *err)
{
	struct counting *c = calloc(1, sizeof(*c));
	int ret = c ? session_counter_new(r->context->mappings, &c->counter) : -ENOMEM;

	if (ret) {
		free(c);
		return error_set(err, ret, "the sessions cannot be counted: %s", strerror(-ret));
	}
	c->answer = answer;
	request_run(r, counting_step, c, counting_free);
	return 0;
}

bool json_add_text(cJSON *object, const char *name, const char *text)
{
	return text ? cJSON_AddStringToObject(object, name, text) : cJSON_AddNullToObject(object, name);
}

bool answer_add_forwarding(const struct parts *a, cJSON *object, const char *interface)
{
	const char *why = devices_kernel_forwards(a->devices, a->active->config, interface);

	return cJSON_AddStringToObject(object, "forwarding",
				       word_text(forwarding_words, why ? FORWARDING_KERNEL : FORWARDING_REDIRECT)) &&
	       json_add_text(object, "forwarding_reason", why);
}

void json_add_block(cJSON *object, const struct grant *grant)
{
	char from[TIME_TEXT];

	json_add_u64(object, "port_lo", grant->port_lo);
	json_add_u64(object, "port_hi", grant->port_lo + grant->ports - 1U);
	cJSON_AddStringToObject(object, "from", time_format((int64_t)grant->from, from));
}

void json_add_grants(cJSON *object, const struct grants *g, const struct mapping *m, uint64_t place)
{
	cJSON *list = m->growth.block || grants_of(g, place, NULL) ? cJSON_AddArrayToObject(object, "grants") : NULL;

	for (const struct grant *i = grants_of(g, place, NULL); list && i; i = grants_of(g, place, i)) {
		cJSON *one = i->state == GRANT_ASKED ? NULL : cJSON_CreateObject();

		if (!one)
			continue;
		json_add_block(one, i);
		if (!cJSON_AddItemToArray(list, one))
			cJSON_Delete(one);
	}
}

size_t json_add_draining(cJSON *object, const struct mappings *m, uint8_t tenant, uint32_t in_addr)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain), found = 0;
	cJSON *list = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct mapping_drain *d = &drain[i];
		const struct geometry *g = &mappings_get(m, d->number)->geo;
		struct port_block block;
		cJSON *item;

		if (mappings_get(m, d->number)->tenant != tenant || mappings_drain_of(m, d->number, in_addr) != d)
			continue;
		list = list ? list : cJSON_AddArrayToObject(object, "draining");
		item = cJSON_CreateObject();
		block = mapping_block(g, in_addr);
		json_add_addr(item, "out_addr", block.out_addr);
		json_add_u64(item, "port_lo", block.port_lo);
		json_add_u64(item, "port_hi", block.port_hi);
		json_add_prefix(item, "in", geometry_in(g));
		json_add_prefix(item, "out", geometry_out(g));
		json_add_u64(
			item, "sessions",
			__atomic_load_n(&mappings_subscriber(m, d->number, mapping_subscriber(g, in_addr))->sessions,
					__ATOMIC_RELAXED));
		json_add_u64(item, "drain_left", mapping_drain_left(d));
		found += cJSON_AddItemToArray(list, item);
	}
	return found;
}

static void add_warning(void *arg, const char *check, enum doctor_level level, const char *text)
{
	cJSON_AddItemToArray(arg, cJSON_CreateString(text));
}

bool answer_add_warnings(const struct parts *a, cJSON *object, struct prefix in, struct prefix out)
{
	cJSON *list = cJSON_AddArrayToObject(object, "warnings");
	struct config_mapping mapping = { .in = in, .out = out };
	struct config c = *a->active->config;

	c.mappings = &mapping;
	c.n_mappings = 1;
	if (list)
		doctor_pool_warnings(&c, add_warning, list);
	return list;
}

void json_add_lag(cJSON *json, const struct peer_figures *f)
{
	uint64_t hundredths = f->lag_ms / 10;

	if (f->has_lag)
		cJSON_AddNumberToObject(json, "lag_seconds", (double)hundredths / 100);
	else
		cJSON_AddNullToObject(json, "lag_seconds");
}

void json_add_replication(cJSON *json, const struct replication *x)
{
	unsigned n[N_PEER_STATES] = { 0 };
	struct peer_figures longest = { 0 };
	cJSON *object;

	if (!replication_enabled(x)) {
		cJSON_AddNullToObject(json, "replication");
		return;
	}
	object = cJSON_AddObjectToObject(json, "replication");
	for (unsigned i = 0; i < replication_peers(x); i++) {
		struct peer_figures f;

		replication_peer(x, i, &f);
		n[f.state]++;
		if (f.has_lag && f.lag_ms >= longest.lag_ms)
			longest = f;
	}
	json_add_u64(object, "peers", replication_peers(x));
	for (unsigned state = 0; state < N_PEER_STATES; state++)
		json_add_u64(object, peer_state_name(state), n[state]);
	json_add_lag(object, &longest);
	json_add_u64(object, "memory_bytes", replication_memory(x));
}

void json_add_owners(cJSON *json, const struct replication *x, uint8_t tenant, uint32_t in_addr)
{
	struct copying_subscriber s;
	cJSON *object, *list;

	if (replication_subscriber(x, tenant, in_addr, &s))
		return;
	object = cJSON_AddObjectToObject(json, "replication");
	json_add_u64(object, "own", s.own);
	list = cJSON_AddArrayToObject(object, "copies");
	for (unsigned i = 0; i < replication_peers(x); i++) {
		struct peer_figures f;
		cJSON *one;

		replication_peer(x, i, &f);
		if (f.number > COPYING_PEERS || !s.copies[f.number])
			continue;
		one = cJSON_CreateObject();
		json_add_endpoint(one, "peer", f.peer);
		json_add_u64(one, "sessions", s.copies[f.number]);
		cJSON_AddItemToArray(list, one);
	}
}

int portmap_names_read(const struct config *c, struct portmap_names *ret)
{
	struct portmap_names names = { .name = calloc(c->n_portmaps + 1, sizeof(*names.name)) };

	if (!names.name || port_pairs_of(c, &names.pairs, &names.n)) {
		portmap_names_free(&names);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->n_portmaps; i++)
		memcpy(names.name[i], c->portmaps[i].name, sizeof(names.name[i]));
	*ret = names;
	return 0;
}

void portmap_names_free(struct portmap_names *n)
{
	free(n->pairs);
	free(n->name);
	*n = (struct portmap_names){ 0 };
}

static const char *name_of(const struct portmap_names *names, const struct portmap *m)
{
	const struct port_pair *pair =
		m->origin == PORTMAP_STATIC ? port_pair_find(names->pairs, names->n, m->proto, m->out) : NULL;

	return pair ? names->name[pair->number] : "";
}

/* Whole seconds until a lease ends. */
static void add_expiry(cJSON *json, uint64_t expires_s)
{
	uint64_t now_s = boottime_s();

	if (!expires_s) {
		cJSON_AddNullToObject(json, "expires");
		return;
	}
	json_add_u64(json, "expires", expires_s > now_s ? expires_s - now_s : 0);
}

/* Senders whose packets it accepts; none: any. */
static void add_filters(cJSON *json, const struct portmap_filters *f)
{
	cJSON *list = cJSON_AddArrayToObject(json, "filters");
	char text[PORTMAP_FILTER_TEXT];

	for (uint32_t i = 0; i < f->n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(portmap_filter_format(&f->filter[i], text)));
}

cJSON *portmap_json(const struct parts *a, const struct portmap_names *names, const struct portmap *m)
{
	const char *tenant = mappings_tenant_name(a->mappings, m->tenant);
	cJSON *json = cJSON_CreateObject();
	struct portmap_traffic traffic;

	portmaps_traffic(a->portmaps, m, &traffic);
	json_add_name(json, "name", name_of(names, m));
	cJSON_AddStringToObject(json, "proto", word_text(proto_words, m->proto));
	json_add_addr(json, "in_addr", m->in.addr);
	json_add_u64(json, "in_port", m->in.port);
	if (*tenant)
		cJSON_AddStringToObject(json, "tenant", tenant);
	json_add_addr(json, "out_addr", m->out.addr);
	json_add_u64(json, "out_port", m->out.port);
	cJSON_AddStringToObject(json, "origin", word_text(origin_words, m->origin));
	add_expiry(json, m->expires_s);
	add_filters(json, &m->filters);
	json_add_u64(json, "packets_in", traffic.packets_in);
	json_add_u64(json, "packets_out", traffic.packets_out);
	return json;
}

const struct portmap *json_add_portmaps(cJSON *object, const struct parts *a, struct endpoint out)
{
	const struct portmaps *p = a->portmaps;
	const struct portmap *tcp = p ? portmaps_by_out(p, IPPROTO_TCP, out) : NULL;
	const struct portmap *udp = p ? portmaps_by_out(p, IPPROTO_UDP, out) : NULL;
	const struct portmap *first = tcp ? tcp : udp;
	struct portmap_names names;

	if (!first || portmap_names_read(a->active->config, &names))
		return NULL;
	cJSON_AddItemToObject(object, "portmap", portmap_json(a, &names, first));
	if (tcp && udp && (tcp->in.addr != udp->in.addr || tcp->in.port != udp->in.port))
		cJSON_AddItemToObject(object, "portmap_udp", portmap_json(a, &names, udp));
	portmap_names_free(&names);
	return first;
}

void json_add_limits(cJSON *object, const struct mappings *m, int number, uint32_t in_addr)
{
	static const char *const names[N_LIMITS] = { "tcp", "udp", "icmp" };
	struct subscriber_limits l;
	cJSON *json;

	if (subscriber_limits_read(m, number, in_addr, &l))
		return;
	json = cJSON_AddObjectToObject(object, "limits");
	for (unsigned i = 0; i < N_LIMITS; i++) {
		cJSON *of = l.limit.sessions[i] ? cJSON_AddObjectToObject(json, names[i]) : NULL;

		if (!of)
			continue;
		json_add_u64(of, "sessions", l.sessions[i]);
		json_add_u64(of, "limit", l.limit.sessions[i]);
	}
	if (l.limit.interval_ns) {
		json_add_u64(json, "tokens", l.tokens);
		json_add_u64(json, "new_burst", l.limit.burst);
		json_add_u64(json, "new_per_second", l.limit.rate);
	}
	json_add_u64(json, "refused_protocol", l.refused_protocol);
	json_add_u64(json, "refused_rate", l.refused_rate);
	cJSON_AddBoolToObject(json, "counting", l.uncounted);
}
