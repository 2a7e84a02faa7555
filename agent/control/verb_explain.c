// SPDX-License-Identifier: BSD-2-Clause
/* explain: gathers everything known about an address, in slices, and reports it with its consequences. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/binding.h>

#include "control/answer.h"
#include "control/handlers.h"
#include "diagnosis/explain.h"
#include "proto/words.h"
#include "sessions/sessions.h"

/* Portmaps of a subscriber that are shown. */
#define EXPLAIN_PORTMAPS 20U

static void add_mapping(cJSON *json, const struct explanation *e)
{
	const struct mapping *m = e->mapping;
	cJSON *object = m ? cJSON_AddObjectToObject(json, "mapping") : cJSON_AddNullToObject(json, "mapping");

	if (!m)
		return;
	json_add_prefix(object, "in", geometry_in(&m->geo));
	if (m->geo.out_plen == PLEN_NONE)
		cJSON_AddNullToObject(object, "out");
	else
		json_add_prefix(object, "out", geometry_out(&m->geo));
	json_add_mapping_name(object, "name", e->context->active->config, m);
	json_add_u64(object, "sharing_ratio", m->geo.ratio ? m->geo.ratio : 1);
	json_add_u64(object, "ports_per_host", m->geo.ports_per_host);
	json_add_blocks(object, &m->geo);
	json_add_u64(object, "session_slots",
		     m->first_bucket == NO_BUCKETS ? 0 : (uint64_t)BUCKET_SLOTS << m->bucket_shift);
	if (m->geo.out_plen != PLEN_NONE)
		cJSON_AddStringToObject(object, "inbound", m->geo.flags & MAPPING_OPEN ? "open" : "sessions");
	json_add_u64(object, "sessions_per_user", m->sessions_per_user);
}

/* For UDP, in the words of consoles (RFC 4787 sections 4.1 and 5). */
static const char *nat_type(const struct mapping *m)
{
	const uint8_t udp = binding_protocol(IPPROTO_UDP);

	if (m->geo.flags & MAPPING_OPEN || m->bindings.filtering & udp)
		return "open";
	return m->bindings.mapping & udp ? "moderate" : "strict";
}

static void add_seconds(cJSON *object, const char *name, int64_t seconds)
{
	if (seconds < 0)
		cJSON_AddNullToObject(object, name);
	else
		json_add_u64(object, name, (uint64_t)seconds);
}

static void add_subscriber(cJSON *json, const struct explanation *e)
{
	const struct explain_profile *p = &e->profile;
	cJSON *object, *busiest;

	if (!e->subscriber)
		return;
	object = cJSON_AddObjectToObject(json, "subscriber");
	json_add_inside(object, e->in_addr);
	json_add_addr(object, "out_addr", e->block.out_addr);
	json_add_u64(object, "port_lo", e->block.port_lo);
	json_add_u64(object, "port_hi", e->block.port_hi);
	json_add_u64(object, "sessions", explain_profile_sessions(p));
	json_add_u64(object, "quota", e->mapping->sessions_per_user);
	json_add_u64(object, "quota_exceeded", e->record.refused);
	for (unsigned i = 0; i < N_USAGE_PROTOCOLS; i++)
		json_add_u64(object, usage_protocol_text(i), p->sessions[i]);
	json_add_u64(object, "time_wait", p->time_wait);
	json_add_u64(object, "expired", p->expired);
	json_add_u64(object, "overflow", e->record.beyond);
	json_add_u64(object, "slots", e->record.slots);
	json_add_u64(object, "slots_free", e->record.slots_free);
	json_add_u64(object, "ports", e->mapping->geo.ports_per_host);
	json_add_u64(object, "ports_used", explain_profile_ports(p));
	cJSON_AddStringToObject(object, "nat_type", nat_type(e->mapping));
	cJSON_AddBoolToObject(object, "shares_address", e->mapping->geo.ratio > 1);
	add_seconds(object, "last_quota_refusal", e->record.quota_refusal);
	add_seconds(object, "last_ports_refusal", e->record.ports_refusal);
	if (explain_is_ipv6(e)) {
		json_add_hosts(object, e->context->mappings, e->in_addr);
		json_add_u64(object, "hosts_per_subscriber", mappings_hosts(e->context->mappings, e->mapping));
	}
	json_add_limits(object, e->context->mappings, e->number, e->in_addr);
	if (e->context->grants)
		json_add_grants(object, e->context->grants, e->mapping, explain_place(e));
	if (!e->busiest.sessions) {
		cJSON_AddNullToObject(object, "busiest");
		return;
	}
	busiest = cJSON_AddObjectToObject(object, "busiest");
	cJSON_AddStringToObject(busiest, "proto", usage_protocol_text(e->busiest.proto));
	json_add_ext(busiest, e->context->mappings, e->in_addr, e->busiest.ext.addr);
	json_add_u64(busiest, "ext_port", e->busiest.ext.port);
	json_add_u64(busiest, "sessions", e->busiest.sessions);
}

/* The first portmaps of the subscriber. */
static void add_portmaps(cJSON *json, const struct explanation *e)
{
	const struct portmaps *p = e->context->portmaps;
	struct portmap_names names;
	unsigned n = 0;
	cJSON *list;

	if (!e->subscriber || !p || portmap_names_read(e->context->active->config, &names))
		return;
	list = cJSON_AddArrayToObject(json, "portmaps");
	for (const struct portmap *m = portmaps_of(p, explain_place(e), NULL); m && n < EXPLAIN_PORTMAPS;
	     m = portmaps_of(p, explain_place(e), m), n++)
		cJSON_AddItemToArray(list, portmap_json(e->context, &names, m));
	portmap_names_free(&names);
}

static void add_pool(cJSON *json, const struct explanation *e)
{
	char text[INSIDE_TEXT];
	uint64_t n = 0;
	cJSON *object;

	if (e->side != EXPLAIN_OUTSIDE || e->with_port)
		return;
	/* Of a pool with more addresses than its subscribers fill, the last ones have none. */
	if (e->pool_stride)
		n = ((uint64_t)e->pool_last - e->pool_first) / e->pool_stride + 1;
	object = cJSON_AddObjectToObject(json, "pool");
	if (n) {
		cJSON_AddStringToObject(object, "in_first", inside_text(e->pool_first, text));
		cJSON_AddStringToObject(object, "in_last", inside_text(e->pool_last, text));
	} else {
		cJSON_AddNullToObject(object, "in_first");
		cJSON_AddNullToObject(object, "in_last");
	}
	if (e->pool_stride > 1)
		json_add_u64(object, "in_stride", e->pool_stride);
	json_add_u64(object, "subscribers", n - e->pool.excepted);
	json_add_u64(object, "excepted", e->pool.excepted);
	json_add_u64(object, "active", e->pool.active);
	json_add_u64(object, "at_quota", e->pool.at_quota);
	json_add_u64(object, "sessions", e->pool.sessions);
	json_add_u64(object, "quota_exceeded", e->pool.refused);
}

/* The sessions of the requested endpoint, and the place of the next one of an inside port. */
static void add_port(cJSON *json, const struct explanation *e)
{
	char text[SESSION_TEXT];
	cJSON *list;

	if (!e->with_port || !e->subscriber)
		return;
	if (e->side == EXPLAIN_INSIDE)
		json_add_endpoint(json, "first_choice",
				  (struct endpoint){ e->block.out_addr,
						     (uint16_t)mapping_planned_port(&e->mapping->geo, e->asked.addr,
										    e->asked.port) });
	json_add_u64(json, "matching", e->profile.n_match);
	list = cJSON_AddArrayToObject(json, "sessions");
	for (uint32_t i = 0; i < e->profile.n_match && i < PROFILE_MATCHES; i++) {
		text[session_text(&e->profile.match[i], text) - 1] = 0;
		cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
	}
}

static void add_way(cJSON *json, const char *name, const struct kernel_way *way, bool copied)
{
	char mac[18], text[INSIDE_TEXT];
	cJSON *object;

	if (!kernel_way_is_read(way) || way->error || way->local)
		return;
	object = cJSON_AddObjectToObject(json, name);
	cJSON_AddStringToObject(object, "addr", kernel_way_addr(way, text));
	cJSON_AddStringToObject(object, "interface", way->name);
	cJSON_AddStringToObject(object, "next_hop", kernel_way_next_hop(way, text));
	if (way->mtu)
		json_add_u64(object, "mtu", way->mtu);
	cJSON_AddStringToObject(object, "route_from", copied ? "copy" : "kernel");
	cJSON_AddStringToObject(object, "neighbour", way_neighbour_name(way->neighbour));
	if (way->neighbour != NEIGHBOUR_RESOLVED)
		return;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", way->mac[0], way->mac[1], way->mac[2], way->mac[3],
		 way->mac[4], way->mac[5]);
	cJSON_AddStringToObject(object, "mac", mac);
}

static cJSON *explanation_json(const struct explanation *e)
{
	cJSON *json = cJSON_CreateObject(), *findings;
	char text[INSIDE_TEXT];

	cJSON_AddStringToObject(json, "addr", explain_asked_addr(e, text));
	if (e->with_port)
		json_add_u64(json, "port", e->asked.port);
	cJSON_AddStringToObject(json, "side", e->side ? roles_text(e->side) : "none");
	cJSON_AddBoolToObject(json, "found", e->subscriber || (e->mapping && !e->with_port));
	add_mapping(json, e);
	add_subscriber(json, e);
	if (e->subscriber && e->context->replication)
		json_add_owners(json, e->context->replication, e->tenant, e->in_addr);
	add_portmaps(json, e);
	add_pool(json, e);
	add_port(json, e);
	if (e->subscriber) {
		add_way(json, "way_in", &e->way_in, e->copied_in);
		add_way(json, "way_out", &e->way_out, e->copied_out);
	}
	findings = explain_findings(e);
	if (!cJSON_AddItemToObject(json, "findings", findings)) {
		cJSON_Delete(findings);
		cJSON_Delete(json);
		return NULL;
	}
	return json;
}

static int explain_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct explain_gather *g = r->state;
	int ret = explain_gather_step(g, REQUEST_COUNT_US);

	if (ret == -ENOENT)
		return error_set(err, ret, "the mapping was deleted meanwhile; ask again");
	if (ret < 0)
		return error_set(err, ret, "the address could not be examined: %s", strerror(-ret));
	if (ret)
		return 1;
	*ret_result = explanation_json(explain_gather_result(g));
	return *ret_result ? 0 : -ENOMEM;
}

static void gather_free(void *state)
{
	explain_gather_free(state);
}

int verb_explain(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *place = request_arg(r, "place");
	struct explain_gather *g;
	uint8_t tenant;
	int ret = request_find_tenant(r, place->endpoint.addr, &tenant, err);

	if (ret)
		return ret;
	ret = explain_gather_new(r->context, tenant, place->endpoint, arg_host(place), place->with_port, &g);
	if (ret)
		return error_set(err, ret, "the address cannot be examined: %s", strerror(-ret));
	request_run(r, explain_step, g, gather_free);
	return 0;
}
