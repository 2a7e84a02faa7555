// SPDX-License-Identifier: BSD-2-Clause
#include "import_notes.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/fnv.h"
#include "base/cleanup.h"
#include "message.h"

/* Of a kind of note, so many are printed; --json has all. */
#define SHOWN 20U

struct group {
	uint64_t shape;
	size_t first, last; /* notes */
	size_t n;
	uint32_t line; /* of the first */
};

/* Notes of one kind whose words differ in numbers and addresses alone are the same loss. */
static uint64_t shape_of(const struct import_note *n)
{
	uint64_t shape = fnv1a(FNV1A_BEGIN, &n->kind, sizeof(n->kind));

	for (const char *c = n->text; *c; c++)
		if (!strchr("0123456789./-", *c))
			shape = fnv1a(shape, c, 1);
	return shape;
}

static int by_shape(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->shape != y->shape)
		return x->shape < y->shape ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* By line; what is of no line comes first. */
static int by_line(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static void show(const struct import *m, const struct group *g)
{
	const struct import_note *n = &m->note[g->first];
	char line[16] = "", more[96] = "";

	if (n->line)
		snprintf(line, sizeof(line), ":%u", n->line);
	if (g->n > 1 && m->note[g->last].line)
		snprintf(more, sizeof(more), " (and %zu more of these, the last in line %u)", g->n - 1,
			 m->note[g->last].line);
	else if (g->n > 1)
		snprintf(more, sizeof(more), " (and %zu more of these)", g->n - 1);
	message_line("%s%s: %s%s", m->name, line, n->text, more);
}

int import_notes_show(const struct import *m)
{
	_cleanup_free_ struct group *group = calloc(m->n_notes + 1, sizeof(*group));
	uint64_t shown[N_IMPORT_NOTES] = {};
	size_t n = 0;

	if (!group)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_notes; i++)
		group[i] = (struct group){ shape_of(&m->note[i]), i, i, 1, m->note[i].line };
	qsort(group, m->n_notes, sizeof(*group), by_shape);
	for (size_t i = 0; i < m->n_notes; i++) {
		if (n && group[n - 1].shape == group[i].shape) {
			group[n - 1].last = group[i].first;
			group[n - 1].n++;
		} else {
			group[n++] = group[i];
		}
	}
	qsort(group, n, sizeof(*group), by_line);
	for (size_t i = 0; i < n; i++)
		if (shown[m->note[group[i].first].kind]++ < SHOWN)
			show(m, &group[i]);
	for (unsigned k = 0; k < N_IMPORT_NOTES; k++)
		if (shown[k] > SHOWN)
			message_line("%s: and %" PRIu64 " more of the kind %s; --json has all", m->name,
				     shown[k] - SHOWN, QUOTED(import_note_word(k)));
	return 0;
}
