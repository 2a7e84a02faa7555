/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/nft.h"

#include <errno.h>
#include <string.h>

/* A place such as "chain incoming", and what is wrong there. */
static void add_difference(const char *line, bool missing, void *arg)
{
	const char *text = strstr(line, ": ");
	char place[sizeof(((struct finding *)0)->where)];

	snprintf(place, sizeof(place), "%.*s", (int)(text - line), line);
	findings_add(arg, FINDING_GUARD, false, place, missing ? "missing: %s" : "not part of the guard: %s", text + 2);
}

/* Compares with the rules as they would be in one of the two places for sets. */
static int compare_place(const struct guard_rules *rules, unsigned place, struct guard_image *found,
			 struct findings *findings, size_t *ret_parts)
{
	_cleanup_image_ struct guard_image wanted = { 0 };
	_cleanup_batch_ struct guard_batch batch = { 0 };
	struct guard_rules placed = *rules;
	int r;

	placed.place = place;
	r = guard_rules_make(&placed, 0, false, &batch);
	if (!r)
		guard_image_add_batch(&wanted, &batch, rules->table);
	if (r || wanted.failed)
		return -ENOMEM;
	*ret_parts = wanted.n;
	guard_image_compare(&wanted, found, add_difference, findings);
	return 0;
}

/* The rules are in the place that shows fewer differences. */
static int compare_all(const struct guard_rules *rules, struct guard_image *found, struct findings *findings,
		       size_t *ret_parts)
{
	uint64_t least = UINT64_MAX;
	unsigned best = 0;

	for (unsigned place = 0; place < GUARD_PLACES; place++) {
		struct findings differences = { 0 };
		int r = compare_place(rules, place, found, &differences, ret_parts);

		if (!r && differences.total < least) {
			least = differences.total;
			best = place;
		}
		findings_free(&differences);
		if (r)
			return r;
	}
	return compare_place(rules, best, found, findings, ret_parts);
}

int guard_compare(struct guard_nft *n, const struct guard_rules *rules, struct findings *findings, size_t *ret_parts)
{
	_cleanup_image_ struct guard_image found = { 0 };
	int r = guard_nft_read(n, rules, &found);

	*ret_parts = 0;
	if (r == -ENOENT) {
		findings_add(findings, FINDING_GUARD, false, "table", "inet %s is missing", rules->table);
		return 0;
	}
	if (r)
		return r == -EINTR ? 1 : r;
	return compare_all(rules, &found, findings, ret_parts);
}

int guard_differs(struct guard_nft *n, const struct guard_rules *rules)
{
	struct findings findings = { 0 };
	size_t parts;
	int r = guard_compare(n, rules, &findings, &parts);

	r = !r ? (int)findings.n : r > 0 ? -EINTR : r;
	findings_free(&findings);
	return r;
}
