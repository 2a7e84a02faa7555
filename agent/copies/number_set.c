/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/number_set.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 1024U

/* Where a number is, or where it belongs. */
static uint64_t *place(const struct number_set *s, uint64_t number)
{
	uint32_t at = (uint32_t)number & (s->room - 1);

	while (s->number[at] && s->number[at] != number)
		at = (at + 1) & (s->room - 1);
	return &s->number[at];
}

static int grow(struct number_set *s)
{
	struct number_set next = { .room = s->room ? 2 * s->room : ROOM_MIN, .n = s->n };

	next.number = calloc(next.room, sizeof(*next.number));
	if (!next.number)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->room; i++)
		if (s->number[i])
			*place(&next, s->number[i]) = s->number[i];
	free(s->number);
	*s = next;
	return 0;
}

int number_set_add(struct number_set *s, uint64_t number)
{
	uint64_t *at;

	if (2 * s->n >= s->room) {
		int r = grow(s);

		if (r)
			return r;
	}
	at = place(s, number);
	if (!*at && number) {
		*at = number;
		s->n++;
	}
	return 0;
}

bool number_set_has(const struct number_set *s, uint64_t number)
{
	return !number || (s->room && *place(s, number));
}

void number_set_free(struct number_set *s)
{
	free(s->number);
	*s = (struct number_set){ 0 };
}
