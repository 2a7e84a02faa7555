// SPDX-License-Identifier: BSD-2-Clause
/* mapping list, and a mapping's JSON. */
#include <string.h>

#include "base/timestamp.h"
#include "config/six.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "control/mapping_json_private.h"
#include "tables/mapping_drains.h"

/* Adds the mapping around this one, by its inside prefix and its name if it has one. */
static bool add_within(cJSON *json, const struct config_mapping *around)
{
	if (!around)
		return cJSON_AddNullToObject(json, "within");
	return json_add_prefix(json, "within", around->in) &&
	       (!*around->name || cJSON_AddStringToObject(json, "within_name", around->name));
}

static bool add_protocols(cJSON *json, const char *name, uint8_t protocols)
{
	cJSON *list = cJSON_AddArrayToObject(json, name);

	for (const struct word *word = binding_words; list && word->text; word++)
		if (protocols & word->number)
			cJSON_AddItemToArray(list, cJSON_CreateString(word->text));
	return list;
}

/* The configuration's properties of it other than its translation. */
static bool add_service(cJSON *json, const struct config_mapping *m)
{
	char until[TIME_TEXT];
	cJSON *spare;

	if (!json_add_text(json, "until", m->until ? time_format(m->until, until) : NULL) ||
	    !json_add_u64(json, "drain", m->drain))
		return false;
	spare = cJSON_AddArrayToObject(json, "spare");
	for (uint32_t i = 0; spare && i < m->n_spare; i++) {
		char text[ADDR_TEXT];

		cJSON_AddItemToArray(spare, cJSON_CreateString(prefix_text(m->spare[i], text)));
	}
	return spare;
}

/* How its blocks grow; nothing if they do not. */
static bool add_growth(cJSON *json, const struct config_mapping *m, const struct geometry *g)
{
	struct config_growth of = config_mapping_growth(m);
	cJSON *growth;

	if (!of.given)
		return true;
	growth = cJSON_AddObjectToObject(json, "growth");
	return growth && json_add_u64(growth, "block", of.block) && json_add_u64(growth, "max_blocks", of.max_blocks) &&
	       json_add_u64(growth, "idle", of.idle) && json_add_u64(growth, "rest", of.rest) &&
	       json_add_u64(growth, "blocks_per_address", growth_blocks(g, of.block));
}

/* Those that are set; without any, nothing. */
static bool add_limits(cJSON *json, const struct config_mapping *m)
{
	const struct config_limits *l = &m->limits;
	cJSON *limits;

	if (!l->given || !(l->tcp || l->udp || l->icmp || l->new_per_second))
		return true;
	limits = cJSON_AddObjectToObject(json, "limits");
	return limits && json_add_u64(limits, "tcp", l->tcp) && json_add_u64(limits, "udp", l->udp) &&
	       json_add_u64(limits, "icmp", l->icmp) && json_add_u64(limits, "new_per_second", l->new_per_second) &&
	       json_add_u64(limits, "new_burst", config_mapping_limits(m).burst);
}

/* Of IPv6 subscribers; nothing of others. */
static bool add_six(cJSON *json, const struct config_mapping *m)
{
	char text[INSIDE_TEXT];
	struct record6 six;

	if (!config_is_ipv6(m))
		return true;
	config_record6(m, &six);
	return json_add_u64(json, "subscriber_plen", m->six.subscriber_plen) &&
	       cJSON_AddStringToObject(json, "nat64_prefix", config_nat64_text(&m->six, text)) &&
	       json_add_u64(json, "hosts_per_subscriber", six.hosts) &&
	       json_add_u64(json, "lowest_ipv6_mtu", six.lowest_mtu);
}

static bool add_state(cJSON *json, const struct mapping_drain *drain)
{
	return cJSON_AddStringToObject(json, "state", drain ? "draining" : "in use") &&
	       (drain ? json_add_u64(json, "drain_left", mapping_drain_left(drain))
		      : cJSON_AddNullToObject(json, "drain_left") != NULL);
}

cJSON *mapping_json(const struct config *c, const struct config_mapping *m, const struct geometry *geo,
		    const uint64_t *sessions, const struct mapping_drain *drain)
{
	cJSON *json = cJSON_CreateObject();
	uint32_t slots = config_mapping_slots(c, m);
	struct config_independence i = config_mapping_independence(c, m);
	bool none = prefix_is_none(m->out);
	struct geometry g = { 0 };

	if (geo)
		g = *geo;
	if ((!none && !geo && config_mapping_geometry(m, &g)) || !json_add_prefix(json, "in", m->in) ||
	    !(none ? cJSON_AddNullToObject(json, "out") != NULL : json_add_prefix(json, "out", m->out)) ||
	    !add_six(json, m) || !json_add_text(json, "inbound", none ? NULL : word_text(inbound_words, m->inbound)) ||
	    !json_add_name(json, "name", m->name) || !json_add_name(json, "comment", m->comment) ||
	    (c->n_tenants && !json_add_name(json, "tenant", m->tenant)) ||
	    !add_within(json, config_find_around(c, m->tenant, m->in)) ||
	    !json_add_u64(json, "sharing_ratio", g.ratio ? g.ratio : 1) ||
	    !json_add_u64(json, "ports_per_host", g.ports_per_host) || (!none && !json_add_blocks(json, &g)) ||
	    !json_add_u64(json, "session_slots", slots) ||
	    !json_add_u64(json, "sessions_per_user", config_mapping_quota(c, m)) ||
	    !json_add_u64(json, "memory_bytes",
			  none ? 0 : mappings_memory(m->in, slots) + mappings_binding_memory(&g, slots, i.mapping)) ||
	    !add_protocols(json, "eim", i.mapping) || !add_protocols(json, "eif", i.filtering) ||
	    (i.filtering && !json_add_u64(json, "inbound_sessions", i.inbound_sessions)) ||
	    (sessions && !json_add_u64(json, "sessions", *sessions)) || !add_state(json, drain) ||
	    !add_service(json, m) || !add_growth(json, m, &g) || !add_limits(json, m)) {
		cJSON_Delete(json);
		return NULL;
	}
	return json;
}

/* A drain as its former mapping: the addresses of an exception from the one around it. */
static cJSON *drain_json(const struct request *r, const struct mapping_drain *d, const struct session_count *count)
{
	const struct mapping *record = mappings_get(r->context->mappings, d->number);
	const struct binding_layout *b = &record->bindings;
	struct config_mapping m = {
		.in = d->in,
		.out = mappings_drain_out(r->context->mappings, d->number, d->in),
		.sessions_per_user = record->sessions_per_user,
		.session_slots = BUCKET_SLOTS << record->bucket_shift,
		.independence = { true, b->mapping, b->filtering, b->inbound },
	};
	uint64_t sessions = session_count_of_drain(count, d);

	snprintf(m.tenant, sizeof(m.tenant), "%s", tenant_name(r->context->active->config, record->tenant));

	cJSON *json = mapping_json(r->context->active->config, &m, &record->geo, &sessions, d);

	if (json && !d->whole)
		cJSON_ReplaceItemInObject(json, "memory_bytes", cJSON_CreateNumber(0));
	return json;
}

static cJSON *answer_list(struct request *r, const struct session_count *count)
{
	const struct config *c = r->context->active->config;
	const struct mapping_drain *drain;
	size_t n_drains = mappings_drains(r->context->mappings, &drain);
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < c->n_mappings + n_drains; i++) {
		const struct config_mapping *m = &c->mappings[i];
		int number = i < c->n_mappings ? mappings_find_of(r->context->mappings, config_mapping_tenant(c, m),
								  m->in, m->out)
					       : -1;
		cJSON *json = i >= c->n_mappings
				      ? drain_json(r, &drain[i - c->n_mappings], count)
				      : mapping_json(c, m, NULL,
						     number >= 0 ? &count->by_mapping[number] : &(uint64_t){ 0 }, NULL);

		if (!json || !cJSON_AddItemToArray(list, json)) {
			cJSON_Delete(json);
			cJSON_Delete(list);
			return NULL;
		}
	}
	return list;
}

int verb_mapping_list(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_count(r, answer_list, err);
}
