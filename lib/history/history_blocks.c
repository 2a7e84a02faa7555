// SPDX-License-Identifier: BSD-2-Clause
#include "history/history_blocks.h"

#include <string.h>

#include "base/json_text.h"

void history_blocks_write(FILE *out, const struct plan_blocks *b)
{
	fprintf(out,
		",\"order\":\"%s\",\"first_port\":%u,\"sharing_ratio\":%u,\"block_pitch\":%u,\"ports_per_host\":%u",
		b->netmap ? "netmap" : "sequential", b->first_port, b->ratio, b->pitch, b->ports_per_host);
}

bool history_blocks_read(const cJSON *json, struct prefix in, struct prefix out, struct geometry *ret)
{
	const char *order = json_text(json, "order", NULL);
	struct plan_blocks b = { .netmap = order && !strcmp(order, "netmap") };

	if (order && ((!b.netmap && strcmp(order, "sequential") != 0) || !json_u16(json, "first_port", &b.first_port) ||
		      !json_u16(json, "sharing_ratio", &b.ratio) || !json_u16(json, "block_pitch", &b.pitch) ||
		      !json_u16(json, "ports_per_host", &b.ports_per_host) || !b.ratio))
		return false;
	return !plan_blocks_geometry(in, out, &b, ret);
}
