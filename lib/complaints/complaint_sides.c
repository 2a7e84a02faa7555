// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which side of a connection a complaint is about.
 *
 * An address of a pool is, unless a word says that it is the target's; it is even then if it is joined to its port and
 * stands in a line with another's source: a log may show an answer. If the pools are not known, the address that is
 * named as the source is, and no other of its record. Two endpoints of a line of which nothing is said are an
 * ambiguity.
 */
#include "complaints/complaint_private.h"

static bool is_ours(const struct reading *x, const struct item *a)
{
	return x->reader->ours(x->reader->arg, a->addr);
}

/* The first item of the next line, row or object. */
static size_t line_end(const struct reading *x, size_t i)
{
	uint32_t scope = x->items[i].scope;

	for (i++; i < x->n_items && (x->items[i].scope == scope || x->items[i].scope == NONE);)
		i++;
	return i;
}

/* An address of a pool that is the target of one that is of none. */
static void take_answer(struct reading *x, size_t first, size_t end)
{
	struct item *mine = NULL;
	bool other = false;

	for (size_t i = first; i < end; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || (a->done && is_ours(x, a)))
			continue;
		if (is_ours(x, a) && (mine || a->role != WORD_TARGET || a->port_item == NONE))
			return;
		if (is_ours(x, a))
			mine = a;
		else
			other |= a->role == WORD_SOURCE && a->port_item != NONE;
	}
	if (mine && other)
		mine->role = WORD_SOURCE;
}

uint32_t complaint_record(const struct reading *x, uint32_t scope)
{
	while (!x->scopes[scope].closed && !x->scopes[scope].block && !x->scopes[scope].line &&
	       x->scopes[scope].parent != NONE)
		scope = x->scopes[scope].parent;
	return scope;
}

/* In a line that names the source, another endpoint of which nothing is said is not meant. */
static void drop_unnamed(struct reading *x, size_t first, size_t end)
{
	const struct item *source = NULL;

	for (size_t i = first; i < end; i++)
		if (x->items[i].kind == ITEM_ADDR && !x->items[i].done && x->items[i].role == WORD_SOURCE &&
		    x->items[i].port_item != NONE)
			source = &x->items[i];
	for (size_t i = first; i < end && source; i++) {
		struct item *a = &x->items[i];

		if (a->kind == ITEM_ADDR && !a->role && a->port_item != NONE && a->addr != source->addr)
			a->role = WORD_TARGET;
	}
}

/* Of several endpoints of a line of which nothing is said the first is given, as an ambiguity. */
static void doubt_all(struct reading *x, size_t first, size_t end)
{
	struct item *one = NULL;

	for (uint32_t i = (uint32_t)first; i < end; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->done || a->role == WORD_TARGET || a->port_item == NONE)
			continue;
		if (!one) {
			one = a;
			continue;
		}
		if (one->role != a->role || (a->also && a->role == WORD_SOURCE))
			continue;
		if (one->addr != a->addr && !one->fault) {
			one->fault = FAULT_SEVERAL_ADDRESSES;
			one->other = i;
		}
		if (one->addr != a->addr || one->fault)
			a->role = WORD_TARGET;
	}
}

/* In a record that names the source, or the source's port apart, no other address is meant. */
static void drop_others(struct reading *x)
{
	for (size_t i = 0; i < x->n_items; i++) {
		const struct item *a = &x->items[i];
		struct scope *s = a->scope == NONE ? NULL : &x->scopes[complaint_record(x, a->scope)];

		if (!s)
			continue;
		s->sourced |= a->kind == ITEM_ADDR && !a->done && a->role == WORD_SOURCE;
		s->portless |= a->kind == ITEM_ADDR && !a->done && a->port_item == NONE;
		s->source_port |= a->kind == ITEM_PORT && a->role == WORD_SOURCE;
	}
	for (size_t i = 0; i < x->n_items; i++) {
		struct item *a = &x->items[i];
		const struct scope *s =
			a->kind == ITEM_ADDR && !a->role ? &x->scopes[complaint_record(x, a->scope)] : NULL;

		if (s && (s->sourced || (s->source_port && s->portless && a->port_item != NONE)))
			a->role = WORD_TARGET;
	}
}

/* In a row or an object that names another source, the source's port that stands apart is that one's. */
static void drop_ports_of_others(struct reading *x)
{
	for (size_t i = 0; i < x->n_items; i++) {
		const struct item *a = &x->items[i];
		struct scope *s = a->scope == NONE ? NULL : &x->scopes[complaint_record(x, a->scope)];

		if (!s || a->kind != ITEM_ADDR || a->role != WORD_SOURCE)
			continue;
		s->sourced |= !a->done;
		s->portless |= a->done && a->port_item == NONE;
	}
	for (size_t i = 0; i < x->n_items; i++) {
		struct item *p = &x->items[i];
		const struct scope *s = p->kind == ITEM_PORT && p->role == WORD_SOURCE && p->scope != NONE
						? &x->scopes[complaint_record(x, p->scope)]
						: NULL;

		if (s && s->closed && s->portless && !s->sourced)
			p->role = WORD_TARGET;
	}
}

void complaint_sides(struct reading *x)
{
	if (x->reader->ours)
		drop_ports_of_others(x);
	else
		drop_others(x);
	for (size_t i = 0, end; i < x->n_items; i = end) {
		end = line_end(x, i);
		if (x->reader->ours)
			take_answer(x, i, end);
		drop_unnamed(x, i, end);
		doubt_all(x, i, end);
	}
}

uint32_t complaint_target_of_ours(const struct reading *x)
{
	for (uint32_t i = 0; i < x->n_items; i++)
		if (x->items[i].kind == ITEM_ADDR && x->items[i].role == WORD_TARGET && is_ours(x, &x->items[i]))
			return i;
	return NONE;
}
