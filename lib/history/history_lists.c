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
		fact_rows[FACT_GRANT].write(out, &r->grants[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

static void write_facts(FILE *out, enum fact_kind kind, const struct history_record *r)
{
	const struct fact_row *row = &fact_rows[kind];

	for (size_t i = 0; i < r->n_facts[kind]; i++) {
		if (i)
			fputs(",{", out);
		else
			fprintf(out, ",\"%s\":[{", row->list);
		row->write(out, (const char *)r->facts[kind] + i * row->fact_size);
		fputs(i + 1 < r->n_facts[kind] ? "}" : "}]", out);
	}
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
	write_facts(out, FACT_PORTMAP, r);
	write_facts(out, FACT_DRAIN, r);
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

static int read_facts(const cJSON *json, enum fact_kind kind, struct history_record *r)
{
	const struct fact_row *row = &fact_rows[kind];
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, row->list), *item;

	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->facts[kind] = calloc((size_t)cJSON_GetArraySize(list) + 1, row->fact_size);
	if (!r->facts[kind])
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!row->read(item, (char *)r->facts[kind] + r->n_facts[kind]++ * row->fact_size))
			return -EINVAL;
	return 0;
}

/* Records of histories without any have no list of them. */
static int read_any(const cJSON *json, enum fact_kind kind, struct history_record *r)
{
	return cJSON_HasObjectItem(json, fact_rows[kind].list) ? read_facts(json, kind, r) : 0;
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

	int ret = read_any(json, FACT_PORTMAP, r);

	if (cJSON_HasObjectItem(json, "grants") && !json_count(json, "grants", &r->n_listed))
		return -EINVAL;
	return ret ? ret : read_any(json, FACT_DRAIN, r);
}

int history_listed_grants_read(const cJSON *json, struct history_record *r)
{
	return json_count(json, "part", &r->part) ? read_facts(json, FACT_GRANT, r) : -EINVAL;
}
