// SPDX-License-Identifier: BSD-2-Clause
#include "history/history_blocks.h"

#include <string.h>

void history_blocks_write(FILE *out, const struct plan_blocks *b)
{
	fprintf(out,
		",\"order\":\"%s\",\"first_port\":%u,\"sharing_ratio\":%u,\"block_pitch\":%u,\"ports_per_host\":%u",
		b->netmap ? "netmap" : "sequential", b->first_port, b->ratio, b->pitch, b->ports_per_host);
}

/* Reads a whole number of 16 bits. */
static bool read_u16(const cJSON *json, const char *key, uint16_t *ret)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, key);

	if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0 && number->valuedouble <= UINT16_MAX))
		return false;
	*ret = (uint16_t)number->valuedouble;
	return *ret == number->valuedouble;
}

bool history_blocks_read(const cJSON *json, struct prefix in, struct prefix out, struct geometry *ret)
{
	const char *order = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "order"));
	struct plan_blocks b = { .netmap = order && !strcmp(order, "netmap") };

	if (order && ((!b.netmap && strcmp(order, "sequential") != 0) || !read_u16(json, "first_port", &b.first_port) ||
		      !read_u16(json, "sharing_ratio", &b.ratio) || !read_u16(json, "block_pitch", &b.pitch) ||
		      !read_u16(json, "ports_per_host", &b.ports_per_host) || !b.ratio))
		return false;
	return !plan_blocks_geometry(in, out, &b, ret);
}
