// SPDX-License-Identifier: BSD-2-Clause
/*
 * Of a text and its HTML, one is read. They contradict each other if the other has an address without its port, and a
 * number that could be a port, and that the one that is read does not have; or if both have addresses, times and zones
 * in the same order, and one of them is another.
 */
#include "complaints/complaint_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Numbers below are parts of times, and ports of no subscriber; those of years are parts of dates. */
#define LEAST	   1024U
#define FIRST_YEAR 1970U
#define LAST_YEAR  2100U

struct rival {
	uint32_t begin, end;   /* of what is read, in the text */
	bool strange;	       /* the other has numbers that it does not have */
	bool other;	       /* it has another address, time or zone in the place of one */
	uint8_t numbers[8192]; /* of the other, a bit each */
};

static bool has(const uint8_t *set, unsigned number)
{
	return set[number / 8] >> number % 8 & 1;
}

/* Notes each number of a text that could be a port. */
static void note_numbers(const char *at, const char *end, uint8_t set[static 8192])
{
	while (at < end) {
		unsigned number = 0, digits = 0;

		for (; at < end && digit_octet(*at); at++, digits++)
			number = digits < 5 ? number * 10 + (unsigned)(*at - '0') : 0;
		if (digits && digits <= 5 && number <= UINT16_MAX)
			set[number / 8] |= (uint8_t)(1U << number % 8);
		at += !digits;
	}
}

/* The next address, time or zone of a text. */
struct token {
	enum item_kind kind;
	uint32_t addr;
	struct stamp time;
};

static bool next_token(const char **at, const char *end, struct token *t)
{
	while (*at < end) {
		const char *p = *at, *behind;

		if (!word_octet(*p)) {
			++*at;
			continue;
		}
		*t = (struct token){ .kind = ITEM_ADDR };
		behind = digit_octet(*p) ? addr_at(p, end, &t->addr) : NULL;
		if (!behind)
			t->kind = ITEM_TIME, behind = stamp_read(p, end, &t->time);
		if (!behind)
			t->kind = ITEM_ZONE, behind = claim_read(p, end, false, &t->time.zone);
		*at = behind > p ? behind : word_skip(p, end);
		*at += *at == p;
		if (behind > p)
			return true;
	}
	return false;
}

static bool same_token(const struct token *a, const struct token *b)
{
	if (a->kind == ITEM_ADDR)
		return a->addr == b->addr;
	if (a->kind == ITEM_ZONE)
		return claim_equal(&a->time.zone, &b->time.zone);
	return a->time.date != b->time.date || a->time.clock != b->time.clock || stamp_agree(&a->time, &b->time);
}

/* Whether two texts have addresses, times and zones in the same order, and one of them is another. */
static bool differ(const char *a, const char *a_end, const char *b, const char *b_end)
{
	bool other = false;

	for (;;) {
		struct token one, two;
		bool more = next_token(&a, a_end, &one);

		if (more != next_token(&b, b_end, &two) || (more && one.kind != two.kind))
			return false;
		if (!more)
			return other;
		other |= !same_token(&one, &two);
	}
}

void rival_note(struct reading *x, const char *text, size_t begin, size_t end, const char *other, const char *other_end)
{
	uint8_t own[8192] = { 0 };
	struct rival *r;

	if (x->n_rivals == RIVALS)
		return;
	r = calloc(1, sizeof(*r));
	if (!r) {
		x->error = -ENOMEM;
		return;
	}
	*r = (struct rival){ .begin = (uint32_t)begin, .end = (uint32_t)end };
	note_numbers(other, other_end, r->numbers);
	note_numbers(text + begin, text + end, own);
	for (unsigned i = LEAST; i <= UINT16_MAX && !r->strange; i++)
		r->strange = has(r->numbers, i) && !has(own, i) && !(i >= FIRST_YEAR && i <= LAST_YEAR);
	r->other = differ(text + begin, text + end, other, other_end);
	x->rivals[x->n_rivals++] = r;
}

bool rival_differs(const struct reading *x, const struct item *addr)
{
	for (unsigned i = 0; i < x->n_rivals; i++)
		if (x->rivals[i]->other && addr->at >= x->rivals[i]->begin && addr->at < x->rivals[i]->end)
			return true;
	return false;
}

bool rival_contradicts(const struct reading *x, const struct item *addr)
{
	for (unsigned i = 0; i < x->n_rivals; i++) {
		const struct rival *r = x->rivals[i];
		unsigned port = x->items[addr->port_item].port;

		if (r->strange && addr->at >= r->begin && addr->at < r->end && port >= LEAST && !has(r->numbers, port))
			return true;
	}
	return false;
}
