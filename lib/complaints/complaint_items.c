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

static uint32_t stamp_add(struct reading *x, const struct stamp *s)
{
	if (x->error || array_grow(&x->stamps, x->n_stamps, &x->room_stamps, sizeof(*x->stamps))) {
		x->error = -ENOMEM;
		return NONE;
	}
	x->stamps[x->n_stamps] = *s;
	return (uint32_t)x->n_stamps++;
}

uint32_t item_time(struct reading *x, uint32_t scope, const char *at, const char *end, const struct stamp *s)
{
	uint32_t i = item_add(x, ITEM_TIME, scope, at, end), stamp = i == NONE ? NONE : stamp_add(x, s);

	if (stamp == NONE)
		return NONE;
	x->items[i].stamp = stamp;
	return i;
}

/* The stamp of a zone, which nobody changes: one that says the same will do. */
static uint32_t zone_stamp(struct reading *x, const struct claim *c)
{
	uint32_t *kept = &x->zone_stamps[x->n_zone_stamps % ZONES_KEPT];

	for (unsigned k = 0; k < ZONES_KEPT && k < x->n_zone_stamps; k++) {
		const struct claim *known = &x->stamps[x->zone_stamps[k]].zone;

		if (known->seasons == c->seasons && claim_equal(known, c))
			return x->zone_stamps[k];
	}
	*kept = stamp_add(x, &(struct stamp){ .zone = *c });
	x->n_zone_stamps += *kept != NONE;
	return *kept;
}

uint32_t item_zone(struct reading *x, uint32_t scope, const char *at, const char *end, const struct claim *c)
{
	uint32_t i = item_add(x, ITEM_ZONE, scope, at, end), stamp = i == NONE ? NONE : zone_stamp(x, c);

	if (stamp == NONE)
		return NONE;
	x->items[i].stamp = stamp;
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
