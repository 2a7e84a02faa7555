// SPDX-License-Identifier: BSD-2-Clause
/* Ports bound by endpoint-independent mapping. */
#include "command.h"

static const struct column binding_columns[] = {
	{ "PROTO", "proto", cell_text, false, 5 },
	{ "INSIDE", "in", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) },
	{ "OUTSIDE", "out", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "SESSIONS", "sessions", cell_number, true, 8 },
	{ "EXPIRES IN", "expires", cell_seconds, true, 10 },
	{},
};

const struct view view_binding_list = { .columns = binding_columns, .empty = "no bindings" };
