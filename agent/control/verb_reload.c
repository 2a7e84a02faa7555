// SPDX-License-Identifier: BSD-2-Clause
/* reload, and what it changes, or would change. */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "change/preflight.h"
#include "control/handlers.h"
#include "links/devices.h"

struct reload {
	struct session_counter *counter;
	struct session_count count;
	cJSON *report; /* without sessions_cut */
	struct config *file;
};

static void reload_free(void *state)
{
	struct reload *l = state;

	session_counter_free(l->counter);
	cJSON_Delete(l->report);
	config_free(l->file);
	free(l);
}

static void add_mapping(cJSON *list, const struct config_mapping *m)
{
	cJSON *json = cJSON_CreateObject();

	json_add_prefix(json, "in", m->in);
	if (prefix_is_none(m->out))
		cJSON_AddNullToObject(json, "out");
	else
		json_add_prefix(json, "out", m->out);
	json_add_name(json, "name", m->name);
	cJSON_AddItemToArray(list, json);
}

/* Whether a mapping keeps its tables, and its sessions. */
static bool keeps_sessions(const struct config *now, const struct config_mapping *m, const struct config *wanted)
{
	const struct config_mapping *other = config_find_mapping(wanted, m->in, m->out);

	return other && config_mapping_slots(now, m) == config_mapping_slots(wanted, other) &&
	       m->inbound == other->inbound;
}

static bool is_updated(const struct config *now, const struct config_mapping *m, const struct config *wanted,
		       const struct config_mapping *other)
{
	return config_mapping_quota(now, m) != config_mapping_quota(wanted, other) ||
	       config_mapping_slots(now, m) != config_mapping_slots(wanted, other) || m->inbound != other->inbound ||
	       strcmp(m->name, other->name) || strcmp(m->comment, other->comment);
}

/* What makes `now` what is wanted; NULL: out of memory. */
static cJSON *report_of(const struct config *now, const struct config *wanted)
{
	cJSON *json = cJSON_CreateObject();
	_cleanup_free_ char *text_now = config_to_json(now), *text_wanted = config_to_json(wanted);
	cJSON *added, *deleted, *updated;

	if (!text_now || !text_wanted || !json) {
		cJSON_Delete(json);
		return NULL;
	}
	cJSON_AddBoolToObject(json, "changed", strcmp(text_now, text_wanted) != 0);
	added = cJSON_AddArrayToObject(json, "added");
	deleted = cJSON_AddArrayToObject(json, "deleted");
	updated = cJSON_AddArrayToObject(json, "updated");
	for (size_t i = 0; i < now->n_mappings; i++) {
		const struct config_mapping *m = &now->mappings[i], *other = config_find_mapping(wanted, m->in, m->out);

		if (!other)
			add_mapping(deleted, m);
		else if (is_updated(now, m, wanted, other))
			add_mapping(updated, other);
	}
	for (size_t i = 0; i < wanted->n_mappings; i++)
		if (!config_find_mapping(now, wanted->mappings[i].in, wanted->mappings[i].out))
			add_mapping(added, &wanted->mappings[i]);
	return json;
}

static uint64_t sessions_cut(const struct request *r, const struct reload *l)
{
	const struct config *now = r->context->active->config;
	uint64_t n = 0;

	for (size_t i = 0; i < now->n_mappings; i++) {
		const struct config_mapping *m = &now->mappings[i];
		int number = mappings_find(r->context->mappings, m->in, m->out);

		if (number >= 0 && !keeps_sessions(now, m, l->file))
			n += l->count.by_mapping[number];
	}
	return n;
}

static cJSON *answer_reloaded(struct request *r)
{
	struct reload *l = r->state;

	return take_pointer(l->report);
}

/* Counts the sessions, then reloads, unless it was only to be told what that does. */
static int reload_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct reload *l = r->state;
	int ret = session_counter_step(l->counter, REQUEST_COUNT_US, &l->count);

	if (ret < 0)
		return error_set(err, ret, "the sessions could not be counted: %s", strerror(-ret));
	if (ret)
		return 1;
	l->report = report_of(r->context->active->config, l->file);
	if (!l->report || !json_add_u64(l->report, "sessions_cut", sessions_cut(r, l)))
		return error_set(err, -ENOMEM, "out of memory");
	if (!request_arg(r, "dry_run")->number)
		return request_reload(r, answer_reloaded, err);
	cJSON_AddTrueToObject(l->report, "dry_run");
	*ret_result = take_pointer(l->report);
	return 0;
}

/* The checks that a reload makes before it begins. */
static int check_file(const struct request *r, const struct config *file, struct error *err)
{
	const struct control_context *context = r->context;
	const struct config *now = context->active->config;
	int ret = check_machine(file, now, false, devices_routes(context->devices), context->active->path, err);

	return ret ? ret : devices_check_names(context->devices, file, err);
}

int verb_reload(struct request *r, cJSON **ret_result, struct error *err)
{
	bool dry_run = request_arg(r, "dry_run")->number;
	struct reload *l = calloc(1, sizeof(*l));
	int ret = l ? config_load(r->context->active->path, &l->file, NULL, err) : -ENOMEM;

	/* A file that is refused is refused, and noted as such, by the reload itself. */
	if (ret && l && !dry_run) {
		reload_free(l);
		return request_reload(r, answer_empty, err);
	}
	if (!ret && dry_run)
		ret = check_file(r, l->file, err);
	if (!ret)
		ret = session_counter_new(r->context->mappings, &l->counter);
	if (ret) {
		if (l)
			reload_free(l);
		return ret;
	}
	request_run(r, reload_step, l, reload_free);
	return 0;
}
