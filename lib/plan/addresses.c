// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "plan/plan.h"

int plan_addresses_add(struct plan_addresses *a, struct plan_range range)
{
	struct plan_range *more = reallocarray(a->range, a->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	a->range = more;
	a->range[a->n++] = range;
	return 0;
}

/* One element of a list, without blanks around it. */
static int read_one(char *text, struct plan_range *ret)
{
	char *dash = strchr(text, '-');
	struct prefix p;

	if (strchr(text, '/')) {
		if (prefix_parse(text, &p))
			return -EINVAL;
		*ret = (struct plan_range){ p.base, p.base | ~prefix_mask(p.plen), true };
		return 0;
	}
	*ret = (struct plan_range){ 0 };
	if (dash)
		*dash++ = '\0';
	if (addr_parse(text, &ret->first) || addr_parse(dash ? dash : text, &ret->last) || ret->last < ret->first)
		return -EINVAL;
	ret->prefix = ret->first == ret->last;
	return 0;
}

/* Adds the range that is written from `at` to before `end`, blanks around it aside. */
static int add_one(const char *at, const char *end, struct plan_addresses *a, struct error *err)
{
	char one[PLAN_RANGE_TEXT], quoted[QUOTED_ROOM];
	struct plan_range range = { 0 };
	size_t length;
	int r = -EINVAL;

	at += strspn(at, " \t");
	for (length = at < end ? (size_t)(end - at) : 0; length && strchr(" \t", at[length - 1]); length--)
		;
	if (length < sizeof(one)) {
		memcpy(one, at, length);
		one[length] = '\0';
		r = read_one(one, &range);
	}
	if (r == -EINVAL) {
		text_quote(quoted, sizeof(quoted), at, length);
		return error_set(err, r,
				 "%s is no range: write a prefix as 203.0.113.0/24, a range as "
				 "203.0.113.1-203.0.113.9, or a list of these",
				 quoted);
	}
	return r ? r : plan_addresses_add(a, range);
}

int plan_addresses_read(const char *text, struct plan_addresses *a, struct error *err)
{
	size_t before = a->n;
	int r = 0;

	for (const char *at = text, *end; !r && at; at = *end ? end + 1 : NULL) {
		end = strchrnul(at, ',');
		r = add_one(at, end, a, err);
	}
	if (r)
		a->n = before;
	return r;
}

uint64_t plan_addresses_count(const struct plan_addresses *a)
{
	uint64_t count = 0;

	for (size_t i = 0; i < a->n; i++)
		count += (uint64_t)a->range[i].last - a->range[i].first + 1;
	return count;
}

void plan_addresses_free(struct plan_addresses *a)
{
	free(a->range);
	*a = (struct plan_addresses){ 0 };
}

void plan_mapping_free(struct plan_mapping *m)
{
	plan_addresses_free(&m->in);
	plan_addresses_free(&m->out);
	plan_addresses_free(&m->exclude);
}

const char *plan_range_format(uint32_t first, uint32_t last, char text[static PLAN_RANGE_TEXT])
{
	unsigned plen = mapping_plen(first, last - first);
	char from[ADDR_TEXT], to[ADDR_TEXT];

	if (plen <= 32)
		snprintf(text, PLAN_RANGE_TEXT, "%s/%u", addr_format(first, from), plen);
	else
		snprintf(text, PLAN_RANGE_TEXT, "%s-%s", addr_format(first, from), addr_format(last, to));
	return text;
}
