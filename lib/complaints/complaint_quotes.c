// SPDX-License-Identifier: BSD-2-Clause
/* Mails that a text quotes, which are read only if it has no question itself. */
#include "complaints/complaint_quotes.h"

#include <string.h>

#include "complaints/complaint_line.h"

/* A longer text names no author of what it quotes. */
#define ATTRIBUTION 200

static unsigned quotes(const char *at, const char *end)
{
	unsigned n = 0;

	for (; at < end && (*at == '>' || *at == ' '); at++)
		n += *at == '>';
	return n;
}

/*
 * Blanks "On Monday at nine, Ann wrote:" above a quote, also in `whole`: it says when the quoted mail was written. A
 * line that tells of an address is none. end: of it; one without a number goes on from the line above.
 */
static void blank_attribution(struct reading *x, char *whole, char *end)
{
	char *at, *p;
	bool digits = false, person = false;
	uint32_t addr;

	while (end > x->text && octet_is_of(end[-1], " \n"))
		end--;
	if (end == x->text || end[-1] != ':')
		return;
	for (at = end; at > x->text && end - at < ATTRIBUTION && (at[-1] != '\n' || (!digits && at[-2] != '\n')); at--)
		digits |= digit_octet(at[-1]);
	for (p = at; p < end; p++) {
		if (addr_at(p, end, &addr))
			return;
		person |= *p == '@';
	}
	if (!person && !(label_read(at, end).any & WORD_OTHER))
		return;
	memset(whole + (at - x->text), ' ', (size_t)(end - at));
	memset(at, ' ', (size_t)(end - at));
}

bool quotes_blank(struct reading *x, char *whole)
{
	bool any = false, before = false;

	for (char *at = x->text, *end = x->text + x->size; at < end;) {
		char *stop = (char *)line_end(at, end);

		if (!quotes(at, stop)) {
			before = false;
		} else {
			if (!before)
				blank_attribution(x, whole, at);
			any = before = true;
			memset(at, ' ', (size_t)(stop - at));
		}
		at = stop + 1;
	}
	return any;
}

void quotes_bare(struct reading *x)
{
	for (char *at = x->text, *end = x->text + x->size; at < end;) {
		char *stop = (char *)line_end(at, end);

		for (; at < stop && (*at == '>' || *at == ' '); at++)
			*at = ' ';
		at = stop + 1;
	}
}

/* Whether a line, with those below it up to an empty one, ends as "On Monday at nine, Ann wrote:" does. */
static bool attributes(const char *at, const char *end)
{
	for (; at + 1 < end && !(*at == '\n' && at[1] == '\n'); at++)
		if (*at == ':' && at[1] == '\n')
			return true;
	return false;
}

bool quotes_attribution(const struct reading *x, const struct item *t)
{
	const char *at = x->text + t->at + t->size, *end = x->text + x->size, *stop;

	end = end - at > ATTRIBUTION ? at + ATTRIBUTION : end;
	if (!attributes(at, end))
		return false;
	for (stop = at; !(*stop == ':' && stop[1] == '\n');)
		stop++;
	return memchr(at, '@', (size_t)(stop - at)) || label_read(at, stop).any & WORD_OTHER;
}

/* Whether an address of a pool stands with a time in its line: whatever words are around, it may be of an event. */
static bool has_address_beside(const struct reading *x, size_t time)
{
	uint32_t scope = x->items[time].scope;

	for (size_t i = time > 8 ? time - 8 : 0; i < x->n_items && i < time + 8; i++)
		if (x->items[i].kind == ITEM_ADDR && x->items[i].scope == scope && !x->items[i].done &&
		    x->items[i].role != WORD_TARGET)
			return true;
	return false;
}

uint32_t quotes_own_time(const struct reading *x, char *whole)
{
	uint32_t own = NONE;

	for (size_t i = 0; i < x->n_items; i++) {
		const struct item *t = &x->items[i];
		const char *at = x->text + t->at + t->size, *end = x->text + x->size;

		if (t->kind != ITEM_TIME || !x->stamps[t->stamp].date || !x->stamps[t->stamp].clock)
			continue;
		if (attributes(at, end - at > ATTRIBUTION ? at + ATTRIBUTION : end))
			memset(whole + t->at, ' ', t->size);
		else if (own == NONE && (t->rank < RANK_LATE || has_address_beside(x, i)))
			own = t->at;
	}
	return own;
}

uint32_t quotes_own_port(const struct reading *x)
{
	for (size_t i = 0; i < x->n_items; i++) {
		const struct item *p = &x->items[i];

		if (p->kind == ITEM_PORT && (p->role != WORD_TARGET || p->assumed))
			return p->at;
	}
	return NONE;
}
