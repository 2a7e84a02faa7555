// SPDX-License-Identifier: BSD-2-Clause
#include "control/look_counts.h"

#include <stddef.h>

static struct looked *question_of(struct look_counts *c, const struct look *l)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->question[i].look.question == l->question)
			return &c->question[i];
	return NULL;
}

/* The lines of an asker; a place of his own is made if there is room. */
static unsigned *asker_lines(struct look_counts *c, const struct look *l)
{
	for (unsigned i = 1; i <= c->n_askers; i++)
		if (c->asker[i].asker == l->asker)
			return &c->asker[i].lines;
	if (c->n_askers == LOOK_ASKERS)
		return &c->asker[0].lines;
	c->asker[++c->n_askers].asker = l->asker;
	c->asker[c->n_askers].lines = 0;
	return &c->asker[c->n_askers].lines;
}

enum look_due look_due(struct look_counts *c, const struct look *l)
{
	struct looked *q = question_of(c, l);

	if (q && q->lines >= (l->refreshes ? 1 : LOOK_LINES)) {
		q->more++;
		return LOOK_COUNTED;
	}
	return *asker_lines(c, l) < LOOK_LINES_OF_ASKER ? LOOK_LINE : LOOK_REFUSED;
}

void look_noted(struct look_counts *c, const struct look *l)
{
	struct looked *q = question_of(c, l);

	++*asker_lines(c, l);
	if (!q && c->n < LOOK_QUESTIONS) {
		q = &c->question[c->n++];
		*q = (struct looked){ .look = *l };
	}
	if (q)
		q->lines++;
}

void look_counts_turn(struct look_counts *c, int64_t now, void (*tell)(void *arg, const struct looked *q), void *arg)
{
	int64_t hour = now / 3600;

	if (c->hour == hour)
		return;
	for (unsigned i = 0; i < c->n; i++)
		if (c->question[i].more && !c->question[i].look.refreshes)
			tell(arg, &c->question[i]);
	c->hour = hour;
	c->n = c->n_askers = 0;
	c->asker[0].lines = 0;
}
