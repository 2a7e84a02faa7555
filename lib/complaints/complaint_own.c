// SPDX-License-Identifier: BSD-2-Clause
/*
 * Endpoints of one line that each have a time of their own behind them, in parentheses: "A (time) and B (time)". Each
 * is a record then, and takes no other's time.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

static const char *end_of(const struct reading *x, uint32_t item)
{
	return x->text + x->items[item].at + x->items[item].size;
}

static bool is_endpoint(const struct item *a)
{
	return a->kind == ITEM_ADDR && !a->done && a->role != WORD_TARGET && a->port_item != NONE;
}

/* The time that stands in the parentheses right behind an endpoint, or NONE. */
static uint32_t own_time(const struct reading *x, uint32_t addr)
{
	const struct item *a = &x->items[addr];
	const char *at = end_of(x, a->port_item > addr ? a->port_item : addr), *time;

	for (uint32_t i = addr + 1; i < x->n_items && x->items[i].kind != ITEM_ADDR; i++) {
		if (x->items[i].kind != ITEM_TIME)
			continue;
		time = x->text + x->items[i].at;
		while (at < time && octet_is_of(*at, " \t\n"))
			at++;
		return at < time && *at == '(' && !memchr(at, ')', (size_t)(time - at)) ? i : NONE;
	}
	return NONE;
}

/* Whether nothing but "and" is between the time of an endpoint and another endpoint. */
static bool are_joined(const struct reading *x, uint32_t time, uint32_t addr)
{
	return !(label_read(end_of(x, time), x->text + x->items[addr].at).any & ~WORD_LINK);
}

void complaint_own_times(struct reading *x, uint32_t scope, size_t first)
{
	uint32_t before = NONE, before_time = NONE;
	unsigned n = 0;

	for (uint32_t i = (uint32_t)first; i < x->n_items && n < 2; i++)
		n += is_endpoint(&x->items[i]) && own_time(x, i) != NONE;
	for (uint32_t i = (uint32_t)first, end = (uint32_t)x->n_items; i < end && n == 2 && !x->error; i++) {
		struct item *a = &x->items[i], *b = before == NONE ? NULL : &x->items[before];
		uint32_t time = is_endpoint(a) ? own_time(x, i) : NONE, own;

		if (time == NONE)
			continue;
		own = scope_add(x, scope);
		a->scope = x->items[time].scope = own;
		if (b && !a->role && x->reader->ours && are_joined(x, before_time, i)) {
			b->role = b->role ? b->role : WORD_SOURCE;
			a->role = b->role;
			a->also = true;
		}
		before = i;
		before_time = time;
	}
}
