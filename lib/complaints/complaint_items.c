// SPDX-License-Identifier: BSD-2-Clause
/* The items of a text, and their scopes. */
#include <errno.h>
#include <stdlib.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "complaints/complaint_private.h"

/* So many octets may be looked at in vain in a short text, too. */
#define VAIN_OCTETS (1U << 20)

uint32_t scope_add(struct reading *x, uint32_t parent)
{
	if (x->error || array_grow(&x->scopes, x->n_scopes, &x->room_scopes, sizeof(*x->scopes))) {
		x->error = -ENOMEM;
		return 0;
	}
	x->scopes[x->n_scopes] =
		(struct scope){ .parent = parent, .first = NONE, .last = NONE, .bag = NONE, .zones = NONE };
	return (uint32_t)x->n_scopes++;
}

uint32_t item_add(struct reading *x, enum item_kind kind, uint32_t scope, const char *at, const char *end)
{
	if (x->error || array_grow(&x->items, x->n_items, &x->room_items, sizeof(*x->items))) {
		x->error = -ENOMEM;
		return NONE;
	}
	x->items[x->n_items] = (struct item){ .kind = (uint8_t)kind,
					      .rank = RANK_NEUTRAL,
					      .scope = scope,
					      .at = (uint32_t)(at - x->text),
					      .size = (uint32_t)(end - at),
					      .port_item = NONE,
					      .time_item = NONE,
					      .other = NONE,
					      .next = NONE };
	return (uint32_t)x->n_items++;
}

uint32_t item_time(struct reading *x, uint32_t scope, const char *at, const char *end, const struct stamp *s)
{
	uint32_t i = item_add(x, ITEM_TIME, scope, at, end);

	if (i == NONE || array_grow(&x->stamps, x->n_stamps, &x->room_stamps, sizeof(*x->stamps))) {
		x->error = -ENOMEM;
		return NONE;
	}
	x->stamps[x->n_stamps] = *s;
	x->items[i].stamp = (uint32_t)x->n_stamps++;
	return i;
}

uint32_t item_zone(struct reading *x, uint32_t scope, const char *at, const char *end, const struct claim *c)
{
	struct stamp s = { .zone = *c };
	uint32_t i = item_time(x, scope, at, end, &s);

	if (i != NONE)
		x->items[i].kind = ITEM_ZONE;
	return i;
}

bool complaint_may_look(struct reading *x)
{
	return x->in_vain < x->size + VAIN_OCTETS;
}

void complaint_text_of(const struct reading *x, uint32_t item, char ret[static 60])
{
	snprintf(ret, 60, "%.*s", (int)(x->items[item].size < 59 ? x->items[item].size : 59),
		 x->text + x->items[item].at);
	for (char *p = ret; *p; p++)
		if (*p == '\n')
			*p = ' ';
}
