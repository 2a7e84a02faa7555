// SPDX-License-Identifier: BSD-2-Clause
/* reload, and its effects, or those that it would have. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "change/reload_losses.h"
#include "change/unconfirmed.h"
#include "config/config.h"
#include "config/port_pairs.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "proto/words.h"

/* Portmaps that one configuration has and another has not, for answers. */

/* The portmaps of a configuration, by protocol and outside endpoint. */
struct side {
	const struct config *config;
	struct port_pair *pair;
	size_t n;
};

/* Consecutive ports; the last is the one before `in` and `out`. */
struct run {
	cJSON *list; /* NULL: none is under way */
	cJSON *item;
	const struct config_portmap *of, *was; /* was: of an update, else NULL */
	struct port_pair next;
	struct endpoint was_next;
	uint32_t ports;
};

static int compare(const struct port_pair *a, const struct port_pair *b)
{
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->out.addr != b->out.addr)
		return a->out.addr < b->out.addr ? -1 : 1;
	return a->out.port < b->out.port ? -1 : a->out.port > b->out.port;
}

static const struct config_portmap *portmap_of(const struct side *s, size_t at)
{
	return &s->config->portmaps[s->pair[at].number];
}

static bool same_endpoint(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

/* Ends the present run. */
static int end_run(struct run *r)
{
	bool added = true;

	if (r->list)
		added = json_add_u64(r->item, "ports", r->ports) && cJSON_AddItemToArray(r->list, r->item);
	if (!added)
		cJSON_Delete(r->item);
	*r = (struct run){ 0 };
	return added ? 0 : -ENOMEM;
}

static bool goes_on(const struct run *r, const cJSON *list, const struct port_pair *p, const struct config_portmap *of,
		    const struct config_portmap *was, struct endpoint was_in)
{
	return r->list == list && r->of == of && r->was == was && r->next.proto == p->proto &&
	       same_endpoint(r->next.out, p->out) && same_endpoint(r->next.in, p->in) &&
	       (!was || same_endpoint(r->was_next, was_in));
}

static bool add_was(cJSON *item, const struct config_portmap *was, struct endpoint in)
{
	cJSON *json = cJSON_AddObjectToObject(item, "was");

	return json && json_add_name(json, "name", was->name) && json_add_addr(json, "in_addr", in.addr) &&
	       json_add_u64(json, "in_port", in.port);
}

/* Adds a port to a list. was: the previous portmap of that inside endpoint; NULL: there was none. */
static int take(struct run *r, cJSON *list, const struct port_pair *p, const struct config_portmap *of,
		const struct config_portmap *was, struct endpoint was_in)
{
	if (!goes_on(r, list, p, of, was, was_in)) {
		if (end_run(r))
			return -ENOMEM;
		*r = (struct run){ .list = list, .item = cJSON_CreateObject(), .of = of, .was = was };
		if (!json_add_name(r->item, "name", of->name) ||
		    !cJSON_AddStringToObject(r->item, "proto", p->proto == IPPROTO_TCP ? "tcp" : "udp") ||
		    !json_add_addr(r->item, "in_addr", p->in.addr) || !json_add_u64(r->item, "in_port", p->in.port) ||
		    !json_add_addr(r->item, "out_addr", p->out.addr) ||
		    !json_add_u64(r->item, "out_port", p->out.port) || (was && !add_was(r->item, was, was_in)))
			return -ENOMEM;
	}
	r->ports++;
	r->next = *p;
	r->next.in.port++;
	r->next.out.port++;
	r->was_next = (struct endpoint){ was_in.addr, (uint16_t)(was_in.port + 1) };
	return 0;
}

/* Walks both in order of protocol and outside endpoint. */
static int add_changes(cJSON *json, const struct side *now, const struct side *wanted)
{
	cJSON *added = cJSON_AddArrayToObject(json, "added"), *deleted = cJSON_AddArrayToObject(json, "deleted");
	cJSON *updated = cJSON_AddArrayToObject(json, "updated");
	struct run runs[3] = { 0 };
	size_t i = 0, k = 0;
	int ret = added && deleted && updated ? 0 : -ENOMEM;

	while (!ret && (i < now->n || k < wanted->n)) {
		const struct port_pair *old = i < now->n ? &now->pair[i] : NULL;
		const struct port_pair *new = k < wanted->n ? &wanted->pair[k] : NULL;
		int order = !old ? 1 : !new ? -1 : compare(old, new);

		if (order < 0)
			ret = take(&runs[0], deleted, old, portmap_of(now, i), NULL, old->in);
		else if (order > 0)
			ret = take(&runs[1], added, new, portmap_of(wanted, k), NULL, new->in);
		else if (!same_endpoint(old->in, new->in) ||
			 strcmp(portmap_of(now, i)->name, portmap_of(wanted, k)->name) != 0)
			ret = take(&runs[2], updated, new, portmap_of(wanted, k), portmap_of(now, i), old->in);
		i += order <= 0;
		k += order >= 0;
	}
	for (unsigned n = 0; n < ARRAY_SIZE(runs); n++) {
		if (ret)
			cJSON_Delete(runs[n].item);
		else
			ret = end_run(&runs[n]);
	}
	return ret;
}

/*
 * Adds "portmaps", with arrays `added`, `deleted` and `updated` of the changes from `now` to `wanted`: consecutive
 * ports of a portmap and protocol as one element. 0 or -ENOMEM.
 */
static int json_add_portmap_changes(cJSON *object, const struct config *now, const struct config *wanted)
{
	struct side a = { .config = now }, b = { .config = wanted };
	cJSON *json = cJSON_AddObjectToObject(object, "portmaps");
	int ret = json ? port_pairs_of(now, &a.pair, &a.n) : -ENOMEM;

	if (!ret)
		ret = port_pairs_of(wanted, &b.pair, &b.n);
	if (!ret)
		ret = add_changes(json, &a, &b);
	free(a.pair);
	free(b.pair);
	return ret;
}

struct reload {
	struct reload_losses *losses;
	cJSON *report;
	struct config *file;
};

static void reload_free(void *state)
{
	struct reload *l = state;

	reload_losses_free(l->losses);
	cJSON_Delete(l->report);
	config_free(l->file);
	free(l);
}

/* The effect on all sessions of a mapping; NULL: none. */
static const struct reload_loss *loss_of(const struct reload_losses *losses, const struct config_mapping *m)
{
	size_t n;
	const struct reload_loss *list = reload_losses_list(losses, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].whole && prefix_equal(list[i].in, m->in) && !strcmp(list[i].tenant, m->tenant))
			return &list[i];
	return NULL;
}

/* loss: the effect on its sessions; NULL: none. */
static void add_mapping(cJSON *list, const struct config_mapping *m, const struct reload_loss *loss)
{
	cJSON *json = cJSON_CreateObject();

	json_add_prefix(json, "in", m->in);
	if (prefix_is_none(m->out))
		cJSON_AddNullToObject(json, "out");
	else
		json_add_prefix(json, "out", m->out);
	json_add_name(json, "name", m->name);
	if (*m->tenant)
		cJSON_AddStringToObject(json, "tenant", m->tenant);
	if (loss) {
		json_add_u64(json, "sessions", loss->sessions);
		json_add_u64(json, "drain", loss->drain);
	}
	cJSON_AddItemToArray(list, json);
}

static bool same_independence(struct config_independence a, struct config_independence b)
{
	return a.mapping == b.mapping && a.filtering == b.filtering &&
	       (!a.filtering || a.inbound_sessions == b.inbound_sessions);
}

static bool same_growth(struct config_growth a, struct config_growth b)
{
	return a.given == b.given && a.block == b.block && a.max_blocks == b.max_blocks && a.idle == b.idle &&
	       a.rest == b.rest;
}

static bool same_limits(const struct config_mapping *a, const struct config_mapping *b)
{
	struct limit_layout x = config_mapping_limits(a), y = config_mapping_limits(b);

	return limit_layout_same(&x, &y);
}

static bool same_spare(const struct config_mapping *a, const struct config_mapping *b)
{
	for (uint32_t i = 0; i < a->n_spare && i < b->n_spare; i++)
		if (!prefix_equal(a->spare[i], b->spare[i]))
			return false;
	return a->n_spare == b->n_spare;
}

static bool is_updated(const struct config *now, const struct config_mapping *m, const struct config *wanted,
		       const struct config_mapping *other)
{
	return !same_independence(config_mapping_independence(now, m), config_mapping_independence(wanted, other)) ||
	       !same_growth(config_mapping_growth(m), config_mapping_growth(other)) || !same_limits(m, other) ||
	       !same_spare(m, other) || m->drain != other->drain || strcmp(m->tenant, other->tenant) ||
	       m->until != other->until || config_mapping_quota(now, m) != config_mapping_quota(wanted, other) ||
	       config_mapping_slots(now, m) != config_mapping_slots(wanted, other) || m->inbound != other->inbound ||
	       strcmp(m->name, other->name) || strcmp(m->comment, other->comment);
}

/*
 * Turns a JSON pointer into a key as messages name it, up to the first list: /interfaces/inside/0 is interfaces.inside.
 */
static void name_key(const char *pointer, char *key, size_t size)
{
	size_t n = 0;

	for (pointer++; *pointer && n + 1 < size; pointer++) {
		if (*pointer == '/' && (pointer[1] == '-' || (pointer[1] >= '0' && pointer[1] <= '9')))
			break;
		key[n] = *pointer;
		if (key[n] == '/')
			key[n] = '.';
		n++;
	}
	key[n] = '\0';
}

/* All keys except those of the mappings and portmaps, which are reported one by one. */
static cJSON *keys_of(const struct config *c)
{
	cJSON *json = config_document(c, true);

	cJSON_DeleteItemFromObject(json, "mappings");
	cJSON_DeleteItemFromObject(json, "portmaps");
	return json;
}

/* Adds the names of the keys that differ: 0 or -ENOMEM. */
static int add_keys(cJSON *json, const struct config *now, const struct config *wanted)
{
	_cleanup_json_ cJSON *from = keys_of(now), *to = keys_of(wanted);
	_cleanup_json_ cJSON *patch = from && to ? config_patch(from, to) : NULL;
	cJSON *keys = patch ? cJSON_AddArrayToObject(json, "keys") : NULL;
	const cJSON *operation;
	char last[128] = "";

	if (!keys)
		return -ENOMEM;
	/* The operations on a list are consecutive. */
	cJSON_ArrayForEach (operation, patch) {
		char key[sizeof(last)];

		name_key(cJSON_GetStringValue(cJSON_GetObjectItem(operation, "path")), key, sizeof(key));
		if (!strcmp(key, last))
			continue;
		strcpy(last, key);
		cJSON_AddItemToArray(keys, cJSON_CreateString(key));
	}
	return 0;
}

/* The changes from `now` to `wanted`; NULL: out of memory. */
static cJSON *report_of(const struct config *now, const struct config *wanted, const struct reload_losses *losses)
{
	cJSON *json = cJSON_CreateObject();
	int same = config_same(now, wanted);
	size_t n_losses;
	const struct reload_loss *loss = reload_losses_list(losses, &n_losses);
	cJSON *added, *deleted, *updated, *parted;

	if (same < 0 || !json) {
		cJSON_Delete(json);
		return NULL;
	}
	cJSON_AddBoolToObject(json, "changed", !same);
	added = cJSON_AddArrayToObject(json, "added");
	deleted = cJSON_AddArrayToObject(json, "deleted");
	updated = cJSON_AddArrayToObject(json, "updated");
	parted = cJSON_AddArrayToObject(json, "parted");
	for (size_t i = 0; i < now->n_mappings; i++) {
		const struct config_mapping *m = &now->mappings[i],
					    *other = config_find_mapping_of(wanted, m->tenant, m->in, m->out);

		if (!other)
			add_mapping(deleted, m, loss_of(losses, m));
		else if (is_updated(now, m, wanted, other))
			add_mapping(updated, other, loss_of(losses, m));
	}
	for (size_t i = 0; i < n_losses; i++) {
		const struct config_mapping *m = config_find_mapping_of(now, loss[i].tenant, loss[i].in, loss[i].out);

		if (!loss[i].whole && m)
			add_mapping(parted, m, &loss[i]);
	}
	for (size_t i = 0; i < wanted->n_mappings; i++) {
		const struct config_mapping *m = &wanted->mappings[i];

		if (!config_find_mapping_of(now, m->tenant, m->in, m->out))
			add_mapping(added, m, NULL);
	}
	if (json_add_portmap_changes(json, now, wanted) || add_keys(json, now, wanted)) {
		cJSON_Delete(json);
		return NULL;
	}
	json_add_u64(json, "sessions_cut", reload_losses_sum(losses, false));
	json_add_u64(json, "sessions_drained", reload_losses_sum(losses, true));
	return json;
}

static cJSON *answer_reloaded(struct request *r)
{
	struct reload *l = r->state;
	const struct parts *p = r->context;
	char text[TIME_TEXT];

	if (l->report && request_arg(r, "confirm")->number) {
		cJSON_AddStringToObject(l->report, "confirm_until", time_format(p->active->unconfirmed_until, text));
		cJSON_AddBoolToObject(l->report, "peers", p->active->config->replication.enabled);
	}
	return take_pointer(l->report);
}

/* Counts the sessions, then reloads, except in a dry run. */
static int reload_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct reload *l = r->state;
	int ret = reload_losses_step(l->losses, REQUEST_COUNT_US);
	struct error refusal;

	if (ret < 0)
		return error_set(err, ret, "the sessions could not be counted: %s", strerror(-ret));
	if (ret)
		return 1;
	l->report = report_of(r->context->active->config, l->file, l->losses);
	if (!l->report)
		return error_set(err, -ENOMEM, "out of memory");
	if (!request_arg(r, "dry_run")->number)
		return request_reload(r, answer_reloaded, err);
	cJSON_AddTrueToObject(l->report, "dry_run");
	if (!request_arg(r, "force")->number && reload_losses_refuse(l->losses, r->context->active, &refusal))
		cJSON_AddStringToObject(l->report, "refused", refusal.text);
	*ret_result = take_pointer(l->report);
	return 0;
}

int verb_confirm(struct request *r, cJSON **ret_result, struct error *err)
{
	struct active_config *a = r->context->active;
	int ret;

	if (request_arg(r, "back")->number)
		return request_back(r, answer_empty, err);
	ret = unconfirmed_keep(a, err);
	if (ret)
		return ret;
	log_info("the reload is confirmed, and stays");
	*ret_result = cJSON_CreateObject();
	return *ret_result ? 0 : -ENOMEM;
}

int verb_reload(struct request *r, cJSON **ret_result, struct error *err)
{
	bool dry_run = request_arg(r, "dry_run")->number;
	struct reload *l = calloc(1, sizeof(*l));
	int ret = l ? config_load(r->context->active->path, &l->file, NULL, err) : -ENOMEM;

	if (!ret)
		config_number_tenants(l->file, r->context->active->config);
	/* The reload itself refuses an invalid file, and records that. */
	if (ret && l && !dry_run) {
		reload_free(l);
		return request_reload(r, answer_empty, err);
	}
	if (!ret && dry_run)
		ret = change_check_file(r->context->changes, l->file, err);
	if (!ret)
		ret = reload_losses_new(r->context->mappings, r->context->grants, r->context->active->config, l->file,
					&l->losses);
	if (ret) {
		if (l)
			reload_free(l);
		return ret;
	}
	request_run(r, reload_step, l, reload_free);
	return 0;
}
