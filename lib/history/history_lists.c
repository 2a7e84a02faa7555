/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_lists.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

#include "base/json_text.h"
#include "history/history_blocks.h"

#define LAST_PORT (MAPPING_FIRST_PORT + MAPPING_PORTS - 1)

void history_mapping_write(FILE *out, const struct history_mapping *m)
{
	char in[ADDR_TEXT], out_text[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",", prefix_text(m->in, in));
	if (prefix_is_none(m->out))
		fputs("\"out\":null,", out);
	else
		fprintf(out, "\"out\":\"%s\",", prefix_text(m->out, out_text));
	/* No character of a name needs escaping. */
	if (*m->name)
		fprintf(out, "\"name\":\"%s\",", m->name);
	if (*m->tenant)
		fprintf(out, "\"tenant\":\"%s\",", m->tenant);
	fprintf(out, "\"from\":\"%s\"", time_format(m->from, from));
	if (m->open)
		fputs(",\"inbound\":\"open\"", out);
}

void history_algorithm_write(FILE *out, const char *algorithm, unsigned port_lo, unsigned port_hi)
{
	fprintf(out, ",\"algorithm\":\"%s\",\"port_lo\":%u,\"port_hi\":%u", algorithm, port_lo, port_hi);
}

static bool has_blocks(const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++)
		if (!plan_blocks_default(&r->mappings[i].blocks) || prefix_is_range(r->mappings[i].in))
			return true;
	return false;
}

static bool has_tenants(const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++)
		if (*r->mappings[i].tenant)
			return true;
	return false;
}

uint64_t history_format_needed(const struct history_record *r)
{
	if (has_tenants(r))
		return HISTORY_FORMAT_TENANTS;
	if (r->n_listed)
		return HISTORY_FORMAT_GRANTS;
	return has_blocks(r) ? HISTORY_FORMAT_BLOCKS : HISTORY_FORMAT_CONFIRMS;
}

static const char *algorithm_of(const struct history_record *r)
{
	if (has_tenants(r))
		return ALGORITHM_TENANTS;
	if (r->n_listed)
		return ALGORITHM_GRANTS;
	return has_blocks(r) ? ALGORITHM_BLOCKS : ALGORITHM;
}

void history_listed_grants_write(FILE *out, const struct history_record *r)
{
	fprintf(out, ",\"part\":%" PRIu64 ",\"grants\":[", r->part);
	for (size_t i = 0; i < r->n_grants; i++) {
		fputs(i ? ",{" : "{", out);
		history_grant_write(out, &r->grants[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

void history_lists_write(FILE *out, const struct history_record *r)
{
	history_algorithm_write(out, algorithm_of(r), MAPPING_FIRST_PORT, LAST_PORT);
	fputs(",\"mappings\":[", out);
	for (size_t i = 0; i < r->n_mappings; i++) {
		fputs(i ? ",{" : "{", out);
		history_mapping_write(out, &r->mappings[i]);
		if (!plan_blocks_default(&r->mappings[i].blocks))
			history_blocks_write(out, &r->mappings[i].blocks);
		fputc('}', out);
	}
	fputc(']', out);
	for (size_t i = 0; i < r->n_portmaps; i++) {
		fputs(i ? ",{" : ",\"portmaps\":[{", out);
		history_portmap_write(out, &r->portmaps[i]);
		fputs(i + 1 < r->n_portmaps ? "}" : "}]", out);
	}
	for (size_t i = 0; i < r->n_drains; i++) {
		fputs(i ? ",{" : ",\"drains\":[{", out);
		history_drain_write(out, &r->drains[i]);
		fputs(i + 1 < r->n_drains ? "}" : "}]", out);
	}
	if (r->n_listed)
		fprintf(out, ",\"grants\":%" PRIu64, r->n_listed);
}

bool history_mapping_read(const cJSON *json, struct history_mapping *ret)
{
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *inbound = json_text(json, "inbound", NULL);
	const char *name = json_text(json, "name", NULL);
	struct geometry g;

	snprintf(ret->name, sizeof(ret->name), "%s", name && label_valid(name) ? name : "");
	history_tenant_read(json, ret->tenant);
	if (!in || range_parse(in, &ret->in) || !json_time(json, "from", &ret->from))
		return false;
	ret->open = inbound && !strcmp(inbound, "open");
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "out"))) {
		ret->out = PREFIX_NONE;
		return !inbound;
	}
	if (!out || range_parse(out, &ret->out) || !history_blocks_read(json, ret->in, ret->out, &g))
		return false;
	ret->blocks = plan_blocks_of(&g);
	return (!inbound || (ret->open && g.ratio == 1));
}

bool history_algorithm_known(const cJSON *json)
{
	const char *algorithm = json_text(json, "algorithm", NULL);
	uint64_t lo, hi;

	/* Blocks are in the mappings, and were read with them. */
	if (algorithm && (!strcmp(algorithm, ALGORITHM_BLOCKS) || !strcmp(algorithm, ALGORITHM_GRANTS) ||
			  !strcmp(algorithm, ALGORITHM_TENANTS)))
		return true;
	return algorithm && !strcmp(algorithm, ALGORITHM) && json_count(json, "port_lo", &lo) &&
	       json_count(json, "port_hi", &hi) && lo == MAPPING_FIRST_PORT && hi == LAST_PORT;
}

/* Records of histories without portmaps have no list of them. */
static int read_portmaps(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "portmaps"), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->portmaps = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->portmaps));
	if (!r->portmaps)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_portmap_read(item, &r->portmaps[r->n_portmaps++]))
			return -EINVAL;
	return 0;
}

/* The same of drains. */
static int read_drains(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "drains"), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->drains = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->drains));
	if (!r->drains)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_drain_read(item, &r->drains[r->n_drains++]))
			return -EINVAL;
	return 0;
}

int history_lists_read(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "mappings"), *item;

	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->mappings = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->mappings));
	if (!r->mappings)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_mapping_read(item, &r->mappings[r->n_mappings++]))
			return -EINVAL;

	int ret = read_portmaps(json, r);

	if (cJSON_HasObjectItem(json, "grants") && !json_count(json, "grants", &r->n_listed))
		return -EINVAL;
	return ret ? ret : read_drains(json, r);
}

int history_listed_grants_read(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "grants"), *item;

	if (!cJSON_IsArray(list) || !json_count(json, "part", &r->part))
		return -EINVAL;
	r->grants = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->grants));
	if (!r->grants)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_grant_read(item, &r->grants[r->n_grants++]))
			return -EINVAL;
	return 0;
}
