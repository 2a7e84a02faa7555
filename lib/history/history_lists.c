/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_lists.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

#include "base/json_text.h"

#define LAST_PORT (MAPPING_FIRST_PORT + MAPPING_PORTS - 1)

void history_algorithm_write(FILE *out, const char *algorithm, unsigned port_lo, unsigned port_hi)
{
	fprintf(out, ",\"algorithm\":\"%s\",\"port_lo\":%u,\"port_hi\":%u", algorithm, port_lo, port_hi);
}

/* What a list needs of its reader. */
struct need {
	uint64_t format;
	const char *algorithm;
};

static struct need need_of(const struct history_record *r)
{
	bool blocks = false, tenants = false, six = false;

	for (size_t i = 0; i < r->n_mappings; i++) {
		blocks |= !plan_blocks_default(&r->mappings[i].blocks) || prefix_is_range(r->mappings[i].in);
		tenants |= *r->mappings[i].tenant;
		six |= prefix_is_virtual(r->mappings[i].in);
	}
	if (six)
		return (struct need){ HISTORY_FORMAT_IPV6, ALGORITHM_NAT64 };
	if (tenants)
		return (struct need){ HISTORY_FORMAT_TENANTS, ALGORITHM_TENANTS };
	if (r->n_listed)
		return (struct need){ HISTORY_FORMAT_GRANTS, ALGORITHM_GRANTS };
	return blocks ? (struct need){ HISTORY_FORMAT_BLOCKS, ALGORITHM_BLOCKS }
		      : (struct need){ HISTORY_FORMAT_CONFIRMS, ALGORITHM };
}

uint64_t history_format_needed(const struct history_record *r)
{
	uint64_t needed = need_of(r).format;

	return r->days && needed < HISTORY_FORMAT_DAYS ? HISTORY_FORMAT_DAYS : needed;
}

static void write_one(FILE *out, enum fact_kind kind, const void *fact)
{
	const struct history_mapping *m = fact;

	fputc('{', out);
	history_fact_write(out, kind, fact);
	if (kind == FACT_MAPPING && !plan_blocks_default(&m->blocks))
		history_blocks_write(out, &m->blocks);
	fputc('}', out);
}

static void write_facts(FILE *out, enum fact_kind kind, const struct history_record *r)
{
	fprintf(out, ",\"%s\":[", fact_rows[kind].list);
	for (size_t i = 0; i < r->n_facts[kind]; i++) {
		if (i)
			fputc(',', out);
		write_one(out, kind, (const char *)r->facts[kind] + i * fact_rows[kind].size);
	}
	fputc(']', out);
}

void history_lists_write(FILE *out, const struct history_record *r)
{
	history_algorithm_write(out, need_of(r).algorithm, MAPPING_FIRST_PORT, LAST_PORT);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (!fact_rows[k].apart && (fact_rows[k].listed || r->n_facts[k]))
			write_facts(out, k, r);
	if (r->n_listed)
		fprintf(out, ",\"grants\":%" PRIu64, r->n_listed);
}

void history_listed_grants_write(FILE *out, const struct history_record *r)
{
	fprintf(out, ",\"part\":%" PRIu64, r->part);
	write_facts(out, FACT_GRANT, r);
}

bool history_algorithm_known(const cJSON *json)
{
	const char *algorithm = json_text(json, "algorithm", NULL);
	uint64_t lo, hi;

	/* Blocks are in the mappings, and were read with them. */
	if (algorithm && (!strcmp(algorithm, ALGORITHM_BLOCKS) || !strcmp(algorithm, ALGORITHM_GRANTS) ||
			  !strcmp(algorithm, ALGORITHM_TENANTS) || !strcmp(algorithm, ALGORITHM_NAT64)))
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
	r->facts[kind] = calloc((size_t)cJSON_GetArraySize(list) + 1, row->size);
	if (!r->facts[kind])
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_fact_read(item, kind, (char *)r->facts[kind] + r->n_facts[kind]++ * row->size))
			return -EINVAL;
	return 0;
}

int history_lists_read(const cJSON *json, struct history_record *r)
{
	int ret = 0;

	for (enum fact_kind k = 0; k < FACT_KINDS && !ret; k++)
		if (!fact_rows[k].apart && (fact_rows[k].listed || cJSON_HasObjectItem(json, fact_rows[k].list)))
			ret = read_facts(json, k, r);
	if (!ret && cJSON_HasObjectItem(json, "grants") && !json_count(json, "grants", &r->n_listed))
		ret = -EINVAL;
	return ret;
}

int history_listed_grants_read(const cJSON *json, struct history_record *r)
{
	return json_count(json, "part", &r->part) ? read_facts(json, FACT_GRANT, r) : -EINVAL;
}
