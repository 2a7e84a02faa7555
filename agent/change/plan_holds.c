/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds the addresses that several steps of a change touch. The datapath applies each step at once, but not all steps
 * together: in between, the addresses would be in no mapping, or in one that no record names.
 */
#include <errno.h>
#include <stdlib.h>

#include "change/plan_private.h"
#include "guard/guard.h"

/* An addition, or a deletion that is not part of an addition. */
struct step {
	const struct plan_addition *add;
	struct prefix in;
};

static size_t list_steps(const struct plan *p, struct step *steps)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_add; i++)
		steps[n++] = (struct step){ .add = &p->add[i], .in = p->add[i].spec.in };
	for (size_t i = 0; i < p->n_del; i++)
		if (!p->del[i].over && !p->del[i].replaced)
			steps[n++] = (struct step){ .in = p->del[i].in };
	return n;
}

static bool meets_another(const struct step *steps, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		if (i != at &&
		    prefix_overlaps(steps[i].in.base, steps[i].in.plen, steps[at].in.base, steps[at].in.plen))
			return true;
	return false;
}

/* The datapath takes an addition that replaces a mapping in a single step. */
static bool replaces(const struct step *s)
{
	return s->add && s->add->how.replaces;
}

int plan_holds(struct plan *p)
{
	size_t room = p->n_add + p->n_del + 1, n;
	_cleanup_free_ struct step *steps = calloc(room, sizeof(*steps));

	free(p->held);
	p->held = calloc(room, sizeof(*p->held));
	p->n_held = 0;
	if (!steps || !p->held)
		return -ENOMEM;
	n = list_steps(p, steps);
	for (size_t i = 0; i < n; i++)
		if (!replaces(&steps[i]) && meets_another(steps, n, i))
			p->held[p->n_held++] = steps[i].in;
	return 0;
}

void plan_hold(const struct plan *p)
{
	for (size_t i = 0; i < p->n_held; i++)
		mappings_hold(p->context->mappings, p->held[i]);
}

void plan_guard_holds(const struct plan *p)
{
	_cleanup_free_ struct prefix *in = calloc(p->n_add + p->n_held + 1, sizeof(*in));
	size_t n = 0;

	for (size_t i = 0; in && i < p->n_add; i++)
		if (!p->add[i].how.replaces && p->n_del)
			in[n++] = p->add[i].spec.in;
	for (size_t i = 0; in && i < p->n_held; i++)
		in[n++] = p->held[i];
	if (n)
		guard_hold(p->context->guard, in, n);
}
