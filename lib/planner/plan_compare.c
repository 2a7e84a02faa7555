// SPDX-License-Identifier: BSD-2-Clause
/* Compares the plans of two configurations, subscriber by subscriber. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "planner/plan_file.h"

/* Tenants of both plans, by their numbers in the comparison. */
struct comparison {
	const struct plan_file *before, *after;
	const char *name[2 * PLAN_FILE_MAX_TENANTS + 1];
	uint32_t n;
	uint32_t after_number[PLAN_FILE_MAX_TENANTS + 1]; /* of those of `after`; those of `before` keep theirs */
	/* Who has the addresses of a run; NULL: none, or not translated. */
	const struct file_part *was[2 * PLAN_FILE_MAX_TENANTS + 1], *is[2 * PLAN_FILE_MAX_TENANTS + 1];
	plan_changed changed;
	void *arg;
	struct plan_changes found;
};

static void number_tenants(struct comparison *c)
{
	for (c->n = 0; c->n < c->before->n_tenants; c->n++)
		c->name[c->n] = c->before->tenant[c->n];
	for (uint32_t i = 0; i < c->after->n_tenants; i++) {
		uint32_t k = 0;

		while (k < c->n && strcmp(c->name[k], c->after->tenant[i]) != 0)
			k++;
		if (k == c->n)
			c->name[c->n++] = c->after->tenant[i];
		c->after_number[i] = k;
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The addresses at which another part may begin. */
static size_t bounds_of(const struct plan_file *f, uint64_t *bound)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		bound[n++] = f->part[i].in_first;
		bound[n++] = f->part[i].in_last + 1ULL;
	}
	return n;
}

/* The part of each tenant that has an inside address: the smallest of several. number: of tenants; NULL: as it is. */
static void find_holders(const struct plan_file *f, const uint32_t *number, uint32_t n, uint32_t in_addr,
			 const struct file_part **ret)
{
	memset(ret, 0, n * sizeof(const struct file_part *));
	for (size_t i = 0; i < f->n; i++) {
		const struct file_part *p = &f->part[i];
		const struct file_part **best = &ret[number ? number[p->tenant] : p->tenant];

		if (in_addr >= p->in_first && in_addr <= p->in_last &&
		    (!*best || p->in_last - p->in_first < (*best)->in_last - (*best)->in_first))
			*best = p;
	}
	for (uint32_t k = 0; k < n; k++)
		if (ret[k] && ret[k]->none)
			ret[k] = NULL;
}

/* Gives the subscriber without a tenant the tenant of the same one in the other plan. */
static void adopt(const struct file_part **lone, const struct file_part **others, uint32_t n, uint32_t in_addr)
{
	uint32_t found = 0;

	if (!lone[0] || others[0])
		return;
	for (uint32_t k = n; k-- > 1;)
		if (others[k] && (!found || mapping_forward(&others[k]->geo, in_addr).out_addr ==
						    mapping_forward(&lone[0]->geo, in_addr).out_addr))
			found = k;
	if (found) {
		lone[found] = lone[0];
		lone[0] = NULL;
	}
}

/* Compares a tenant's addresses from one to another, which are of one part each. */
static void compare_run(struct comparison *c, uint32_t tenant, uint64_t from, uint64_t to)
{
	const struct file_part *before = c->was[tenant], *after = c->is[tenant];

	for (uint64_t at = from; at < to; at++) {
		struct port_block was = before ? mapping_forward(&before->geo, (uint32_t)at) : (struct port_block){ 0 };
		struct port_block is = after ? mapping_forward(&after->geo, (uint32_t)at) : (struct port_block){ 0 };

		c->found.subscribers++;
		if (!before)
			c->found.added++;
		else if (!after)
			c->found.removed++;
		else if (was.out_addr != is.out_addr)
			c->found.moved++;
		else if (was.port_lo != is.port_lo || was.port_hi != is.port_hi)
			c->found.shifted++;
		else {
			c->found.kept++;
			continue;
		}
		if (c->changed)
			c->changed(c->arg, c->name[tenant], (uint32_t)at, &was, &is);
	}
}

static void compare_tenants(struct comparison *c, uint64_t from, uint64_t to)
{
	find_holders(c->before, NULL, c->n, (uint32_t)from, c->was);
	find_holders(c->after, c->after_number, c->n, (uint32_t)from, c->is);
	adopt(c->was, c->is, c->n, (uint32_t)from);
	adopt(c->is, c->was, c->n, (uint32_t)from);
	for (uint32_t k = 0; k < c->n; k++)
		if (c->was[k] || c->is[k])
			compare_run(c, k, from, to);
}

int plan_file_compare(const struct plan_file *before, const struct plan_file *after, plan_changed changed, void *arg,
		      struct plan_changes *ret)
{
	_cleanup_free_ uint64_t *bound = calloc(2 * (before->n + after->n) + 1, sizeof(*bound));
	_cleanup_free_ struct comparison *c = calloc(1, sizeof(*c));
	size_t n;

	if (!bound || !c)
		return -ENOMEM;
	*c = (struct comparison){ .before = before, .after = after, .changed = changed, .arg = arg };
	number_tenants(c);
	n = bounds_of(before, bound);
	n += bounds_of(after, bound + n);
	qsort(bound, n, sizeof(*bound), by_number);
	for (size_t i = 0; i + 1 < n; i++)
		if (bound[i] != bound[i + 1])
			compare_tenants(c, bound[i], bound[i + 1]);
	*ret = c->found;
	return 0;
}
