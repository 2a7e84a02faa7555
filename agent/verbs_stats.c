// SPDX-License-Identifier: BSD-2-Clause
/* stats and status. */
#include <errno.h>
#include <string.h>

#include "history.h"
#include "verbs.h"

int verb_stats(struct request *r, cJSON **ret_result, struct error *err)
{
	struct counters counters;
	int ret = datapath_counters(&r->agent->datapath, &counters);
	cJSON *json, *object;

	if (ret)
		return error_set(err, ret, "the counters cannot be read: %s", strerror(-ret));
	json = cJSON_CreateObject();
	object = cJSON_AddObjectToObject(json, "counters");
	if (!object) {
		cJSON_Delete(json);
		return -ENOMEM;
	}
#define X(name, text) json_add_u64(object, #name, counters.name);
	REASONS(X)
	SENT_KINDS(X)
	INCIDENTS(X)
#undef X
	object = cJSON_AddObjectToObject(json, "octets");
#define X(name, text) json_add_u64(object, #name, counters.name);
	VOLUMES(X)
#undef X
	*ret_result = json;
	return 0;
}

static void add_started(cJSON *json, time_t uptime)
{
	time_t started = time(NULL) - uptime;
	char text[32];
	struct tm tm;

	if (gmtime_r(&started, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		cJSON_AddStringToObject(json, "started", text);
}

static void add_history(cJSON *json, const struct history *h)
{
	cJSON *object = cJSON_AddObjectToObject(json, "history");
	char hash[HASH_TEXT];

	json_add_u64(object, "line", history_end(h, hash));
	cJSON_AddStringToObject(object, "hash", hash);
}

static cJSON *answer_status(struct request *r, const struct session_count *count)
{
	const struct agent *a = r->agent;
	cJSON *json = cJSON_CreateObject();
	struct timespec now;
	time_t uptime;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uptime = now.tv_sec - a->started.tv_sec - (now.tv_nsec < a->started.tv_nsec);
	cJSON_AddStringToObject(json, "version", AGENT_VERSION);
	json_add_u64(json, "uptime", (uint64_t)uptime);
	cJSON_AddStringToObject(json, "forwarding", a->config->forwarding == FORWARDING_KERNEL ? "kernel" : "redirect");
	json_add_u64(json, "mappings", a->config->n_mappings);
	json_add_u64(json, "sessions", count->total);
	add_started(json, uptime);
	json_add_u64(json, "memory_bytes", mappings_table_memory(a->mappings));
	if (a->history)
		add_history(json, a->history);
	cJSON_AddBoolToObject(json, "tracing", a->datapath.settings.trace);
	return json;
}

int verb_status(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_count(r, answer_status, err);
}
