// SPDX-License-Identifier: BSD-2-Clause
/* mapping add, del, set. */
#include <errno.h>
#include <string.h>

#include "change/preflight.h"
#include "config/six.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "control/mapping_json_private.h"
#include "host/memory.h"

/* Omitted options stay as they are; filtering ends with the mapping that it needs. */
static void take_independence(const struct request *r, const struct config *c, struct config_mapping *m)
{
	const struct arg_value *eim = request_arg(r, "eim"), *eif = request_arg(r, "eif");
	const struct arg_value *inbound = request_arg(r, "inbound_sessions");

	if (!eim->given && !eif->given && !inbound->given)
		return;
	if (!m->independence.given)
		m->independence = config_mapping_independence(c, m);
	m->independence.given = true;
	if (eim->given)
		m->independence.mapping = (uint8_t)eim->number;
	if (eim->given && !eif->given)
		m->independence.filtering &= (uint8_t)eim->number;
	if (eif->given)
		m->independence.filtering = (uint8_t)eif->number;
	if (inbound->given)
		m->independence.inbound_sessions = inbound->number;
}

/* A block of 0 turns it off. */
static void take_growth(const struct request *r, struct config_mapping *m)
{
	const struct arg_value *block = request_arg(r, "growth"), *max = request_arg(r, "max_blocks");

	if (block->given && !block->number)
		m->growth = (struct config_growth){ 0 };
	else if (block->given)
		m->growth.block = block->number;
	if (max->given)
		m->growth.max_blocks = max->number;
	m->growth.given |= (block->given && block->number) || max->given;
}

/* 0 takes a limit away; without a rate there is no burst. */
static void take_limits(const struct request *r, struct config_mapping *m)
{
	struct config_limits *l = &m->limits;
	const struct {
		const char *name;
		uint32_t *limit;
	} options[] = {
		{ "limit_tcp", &l->tcp },	{ "limit_udp", &l->udp },
		{ "limit_icmp", &l->icmp },	{ "new_per_second", &l->new_per_second },
		{ "new_burst", &l->new_burst },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct arg_value *option = request_arg(r, options[i].name);

		if (option->given)
			*options[i].limit = option->number;
	}
	if (!l->new_per_second && !request_arg(r, "new_burst")->given)
		l->new_burst = 0;
	l->given = l->tcp || l->udp || l->icmp || l->new_per_second || l->new_burst;
}

/* Copies the given options into a mapping. */
static void take_options(const struct request *r, const struct config *c, struct config_mapping *m)
{
	const struct arg_value *quota = request_arg(r, "sessions_per_user");
	const struct arg_value *name = request_arg(r, "name"), *comment = request_arg(r, "comment");

	take_independence(r, c, m);
	take_growth(r, m);
	take_limits(r, m);
	if (quota->given)
		m->sessions_per_user = quota->number;
	if (name->given)
		snprintf(m->name, sizeof(m->name), "%s", name->text);
	if (comment->given)
		snprintf(m->comment, sizeof(m->comment), "%s", comment->text);
}

/* Copies the given options for the ports of an outside address; 0 takes one away, except the first port. */
static void take_ports(const struct request *r, struct config_mapping *m)
{
	const struct arg_value *ratio = request_arg(r, "subscribers_per_address");
	const struct arg_value *ports = request_arg(r, "ports_per_host"), *first = request_arg(r, "first_port");
	const struct arg_value *pitch = request_arg(r, "block_pitch"), *order = request_arg(r, "order");

	if (ratio->given)
		m->ports.subscribers_per_address = ratio->number;
	if (ports->given)
		m->ports.ports_per_host = ports->number;
	if (first->given)
		m->ports.first_port = first->number ? first->number : PORTS_FROM_0;
	if (pitch->given)
		m->ports.block_pitch = pitch->number;
	if (order->given)
		m->ports.order = (uint8_t)order->number;
}

/* Copies the given options of IPv6 subscribers, or refuses them on a mapping of IPv4 ones. */
static int take_six(const struct request *r, bool ipv6, struct config_six *six, struct error *err)
{
	const struct arg_value *hosts = request_arg(r, "hosts_per_subscriber");
	const struct arg_value *mtu = request_arg(r, "lowest_ipv6_mtu");

	if (!ipv6 && (hosts->given || mtu->given))
		return error_set(
			err, -EINVAL,
			"--hosts-per-subscriber and --lowest-ipv6-mtu are for IPv6 subscribers: leave them out");
	if (hosts->given)
		six->hosts = hosts->number;
	if (mtu->given)
		six->lowest_mtu = mtu->number;
	return 0;
}

/* The keys of a mapping to be added; *six: those of the one that it replaces. Then its virtual addresses. */
static int place_six(const struct request *r, struct config_six *six, struct prefix *ret, struct error *err)
{
	const struct arg_value *in = request_arg(r, "in"), *plen = request_arg(r, "subscriber_plen");
	const struct arg_value *nat64 = request_arg(r, "nat64_prefix");
	char text[INSIDE_TEXT], addr[INSIDE_TEXT];
	int ret_take = take_six(r, in->six_plen, six, err);

	if (ret_take)
		return ret_take;
	if (!in->six_plen && (plen->given || nat64->given))
		return error_set(
			err, -EINVAL,
			"--subscriber-plen and --nat64-prefix are for an inside prefix of IPv6: leave them out");
	if (!in->six_plen)
		return 0;
	if (plen->given)
		six->subscriber_plen = plen->number;
	if (nat64->given) {
		six->nat64 = nat64->six;
		six->nat64_plen = nat64->six_plen;
	}
	if (!six->subscriber_plen || !six->nat64_plen)
		return error_set(err, -EINVAL, "an inside prefix of IPv6 needs %s",
				 six->subscriber_plen ? "--nat64-prefix PREFIX, such as 64:ff9b::/96"
						      : "--subscriber-plen N, the length of a subscriber's prefix");
	snprintf(text, sizeof(text), "%.45s/%u", address6_text(&in->six, addr), in->six_plen);
	return config_virtual(text, six->subscriber_plen, ret, err);
}

/* Takes --drain for the requested change. */
static void take_drain(struct request *r)
{
	const struct arg_value *drain = request_arg(r, "drain");

	r->options.drain_given = drain->given;
	r->options.drain = drain->number;
}

/* Removes properties that have no meaning without translation, or without sessions. */
static void replace_out(const struct request *r, struct config_mapping *m, struct prefix out)
{
	const struct arg_value *inbound = request_arg(r, "inbound");
	bool none = prefix_is_none(out);

	m->out = out;
	free(m->lists);
	m->lists = NULL;
	if (m->figures.subscribers_per_address)
		m->figures = (struct config_ports){ 0 };
	if (none) {
		m->inbound = INBOUND_SESSIONS;
		m->n_spare = 0;
	}
	if (none || (inbound->given && inbound->number == INBOUND_OPEN)) {
		m->independence = (struct config_independence){ 0 };
		m->growth = (struct config_growth){ 0 };
		m->limits = (struct config_limits){ 0 };
		m->ports = (struct config_ports){ 0 };
	}
}

/*
 * The mapping to replace: of the named tenant or, where only another one has the inside prefix, of that one, which then
 * gives it to the named tenant.
 */
static int find_to_replace(const struct request *r, struct config *c, struct prefix in, struct config_mapping **ret,
			   struct error *err)
{
	int failed = request_config_inside(r, c, in, ret, err);

	if (failed || *ret || !request_arg(r, "tenant")->given)
		return failed;
	*ret = config_find_inside(c, in);
	return 0;
}

static int edit_add(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct prefix in, out = request_arg(r, "out")->prefix;
	const struct arg_value *slots = request_arg(r, "session_slots"), *inbound = request_arg(r, "inbound");
	const struct arg_value *tenant = request_arg(r, "tenant");
	struct config_mapping *m = NULL;
	char in_text[INSIDE_TEXT], out_text[ADDR_TEXT];
	struct config_six six = { 0 };
	int ret = request_in(r, c, &in, err);

	/* Of IPv6, -ENOENT: it is new. */
	if (!ret && request_arg(r, "replace")->number)
		ret = find_to_replace(r, c, in, &m, err);
	if (ret && !(ret == -ENOENT && request_arg(r, "in")->six_plen))
		return ret;
	if (m)
		six = m->six;
	ret = place_six(r, &six, &in, err);
	if (ret)
		return ret;
	if (request_arg(r, "out")->single && prefix_count(in) > 1)
		return error_set(err, -EINVAL, "%s to one address alone: write %s if that is meant",
				 inside_prefix_text(in, in_text), prefix_text(out, out_text));
	if (m && config_parts(c, m) > 1)
		return error_set(err, -EINVAL,
				 "%s is a part of a mapping whose addresses are a list: change it in the file, and "
				 "`detnatctl reload`",
				 inside_prefix_text(in, in_text));
	if (m)
		replace_out(r, m, out);
	else
		ret = config_add_mapping(c, tenant->given ? tenant->text : "", in, out);
	if (ret)
		return error_set(err, ret, "mapping %s to %s: %s", inside_prefix_text(in, in_text),
				 prefix_text(out, out_text), ret == -EEXIST ? "exists already" : strerror(-ret));
	if (!m)
		m = &c->mappings[c->n_mappings - 1];
	m->in = in;
	m->six = six;
	r->named = (struct named_mapping){ .in = in };
	if (slots->given)
		m->session_slots = slots->number;
	if (inbound->given)
		m->inbound = (uint8_t)inbound->number;
	if (tenant->given)
		snprintf(m->tenant, sizeof(m->tenant), "%s", tenant->text);
	take_ports(r, m);
	take_options(r, c, m);
	config_mappings_changed(c);
	return config_is_ipv6(m) && config_place_again(c) ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* Adds a warning to the array "warnings" if a mapping has few ports for its bindings. */
static void warn_of_few_ports(cJSON *json, const struct config *c, const struct config_mapping *m)
{
	char text[FEW_PORTS_TEXT];

	if (config_few_ports(c, m, text))
		cJSON_AddItemToArray(cJSON_GetObjectItem(json, "warnings"), cJSON_CreateString(text));
}

static cJSON *answer_added(struct request *r)
{
	const struct config *c = r->context->active->config;
	const struct arg_value *tenant = request_arg(r, "tenant");
	const struct config_mapping *m = config_find_mapping_of(c, tenant->given ? tenant->text : "", r->named.in,
								request_arg(r, "out")->prefix);
	cJSON *json = m ? mapping_json(c, m, NULL, &(uint64_t){ 0 }, NULL) : NULL;

	if (json && answer_add_warnings(r->context, json, m->in, m->out))
		warn_of_few_ports(json, c, m);
	return json;
}

int verb_mapping_add(struct request *r, cJSON **ret_result, struct error *err)
{
	take_drain(r);
	return request_change(r, edit_add, answer_added, err);
}

/* Of tenants with the same inside prefix, OUT tells one, too. */
static int find_inside(const struct request *r, struct config *c, struct prefix in, const struct arg_value *out,
		       struct config_mapping **ret, struct error *err)
{
	*ret = NULL;
	if (out && out->given && !prefix_is_none(out->prefix) && !request_arg(r, "tenant")->given)
		*ret = config_find_mapping(c, in, out->prefix);
	return *ret ? 0 : request_config_inside(r, c, in, ret, err);
}

/* Finds the mapping that the request names, by its name or its inside prefix. out: the argument of it; NULL: none. */
static int find_named(const struct request *r, struct config *c, const struct arg_value *out,
		      struct config_mapping **ret, struct error *err)
{
	const struct arg_value *in = request_arg(r, "in");
	char text[INSIDE_TEXT];
	struct prefix prefix;
	int failed = 0;

	*ret = NULL;
	if (in->text)
		*ret = config_find_named(c, in->text);
	else
		failed = request_in(r, c, &prefix, err);
	if (!in->text && !failed)
		failed = find_inside(r, c, prefix, out, ret, err);
	if (failed || *ret)
		return failed;
	if (in->text)
		return error_set(err, -ENOENT, "there is no mapping named %s; `detnatctl mapping list` shows them",
				 in->text);
	return error_set(err, -ENOENT, "there is no mapping of %s; `detnatctl mapping list` shows them",
			 inside_prefix_text(prefix, text));
}

/* Whether the request names a drain, as `mapping list` shows it; that drain then gets another end. */
static bool is_for_drain(const struct request *r, const struct config *c)
{
	const struct change_options *o = &r->options;

	return o->timed && !config_find_mapping(c, o->timed_in, o->timed_out) &&
	       mappings_find_drain(r->context->mappings, o->timed_in, o->timed_out);
}

static int edit_del(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	const struct arg_value *out = request_arg(r, "out");
	char in_text[INSIDE_TEXT], out_text[ADDR_TEXT], given[ADDR_TEXT];
	struct config_mapping *m;
	int ret;

	if (is_for_drain(r, c))
		return 0;
	ret = find_named(r, c, out, &m, err);
	if (ret)
		return ret;
	if (out->given && !prefix_equal(out->prefix, m->out))
		return error_set(err, -ENOENT, "there is no such mapping: %s is translated to %s, not to %s",
				 inside_prefix_text(m->in, in_text), prefix_text(m->out, out_text),
				 prefix_text(out->prefix, given));
	/* A refusal names the tenant whose mapping goes, and not one that has the address as well. */
	config_name_portmap_tenants(c, m->in);
	return config_del_mapping_of(c, m->tenant, m->in, m->out);
}

int verb_mapping_del(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *in = request_arg(r, "in"), *out = request_arg(r, "out");

	take_drain(r);
	/* What no mapping has, and does not drain, the edit refuses. */
	r->options.timed = !in->text && out->given &&
			   !request_in(r, r->context->active->config, &r->options.timed_in, &(struct error){ 0 });
	r->options.timed_out = out->prefix;
	return request_change(r, edit_del, answer_empty, err);
}

/* With growth, another number of subscribers shares an address where none is given: it stays as it was. */
static void keep_ratio(const struct config_mapping *before, struct config_mapping *m)
{
	struct geometry was, now;

	if (!m->figures.subscribers_per_address && !config_mapping_geometry(before, &was) &&
	    (config_mapping_geometry(m, &now) || now.ratio != was.ratio))
		m->ports.subscribers_per_address = was.ratio;
}

static int edit_set(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct config_mapping *m, before;
	int ret = find_named(r, c, NULL, &m, err);

	if (ret)
		return ret;
	ret = take_six(r, config_is_ipv6(m), &m->six, err);
	if (ret)
		return ret;
	before = *m;
	/* The answer finds it by its prefix, as the name may change. */
	r->named = (struct named_mapping){ .in = m->in };
	memcpy(r->named.tenant, m->tenant, sizeof(r->named.tenant));
	take_options(r, c, m);
	keep_ratio(&before, m);
	config_spread(c, m);
	if (request_arg(r, "name")->given)
		config_mappings_changed(c);
	return 0;
}

/* Bindings that take more memory, in octets, deserve a warning. */
#define MUCH_MEMORY (16U << 20)

static void warn_of_memory(cJSON *json, const struct config *c, const struct config_mapping *m)
{
	uint64_t octets = config_binding_memory(c, m);
	char text[128], amount[MEMORY_TEXT];

	if (octets < MUCH_MEMORY)
		return;
	snprintf(text, sizeof(text), "its bound ports take %s of the kernel's memory, beside the sessions",
		 memory_format(octets, amount));
	cJSON_AddItemToArray(cJSON_GetObjectItem(json, "warnings"), cJSON_CreateString(text));
}

static cJSON *answer_set(struct request *r)
{
	const struct config *c = r->context->active->config;
	const struct config_mapping *m = config_find_inside_of(c, r->named.tenant, r->named.in);
	cJSON *json = m ? mapping_json(c, m, NULL, NULL, NULL) : NULL;

	if (json && cJSON_AddArrayToObject(json, "warnings") && request_arg(r, "eim")->given) {
		warn_of_few_ports(json, c, m);
		warn_of_memory(json, c, m);
	}
	return json;
}

int verb_mapping_set(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_set, answer_set, err);
}
