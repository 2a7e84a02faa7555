/* SPDX-License-Identifier: BSD-2-Clause */
/* How many leases a subscriber is assured, and who gets one when there is little room. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/base.h"
#include "pcp/leases.h"

Test(pcp_shares, a_limit_is_divided_by_subscribers)
{
	static const struct {
		const char *name;
		uint32_t limit;
		uint64_t subscribers;
		uint32_t most, assured, common;
	} rows[] = {
		{ "room for all", 131072, 4096, 32, 32, 0 },
		{ "more room than all can use", 65536, 100, 32, 32, 62336 },
		{ "one lease too few", 131071, 4096, 32, 15, 69631 },
		{ "a large network", 1048576, 65536, 32, 8, 524288 },
		{ "a larger one", 1048576, 262144, 32, 2, 524288 },
		{ "one for each is more than half", 100, 70, 32, 1, 30 },
		{ "as many subscribers as leases", 100, 100, 32, 1, 0 },
		{ "more subscribers than leases", 100, 101, 32, 0, 100 },
		{ "all of IPv4", 1048576, 1ULL << 32, 1024, 0, 1048576 },
		{ "one lease each", 100, 100, 1, 1, 0 },
		{ "a single lease", 1, 1, 32, 1, 0 },
		{ "no subscribers", 65536, 0, 32, 32, 65536 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pcp_shares s = pcp_shares_of(rows[i].limit, rows[i].subscribers, rows[i].most);

		cr_expect_eq(s.limit, rows[i].limit, "%s", rows[i].name);
		cr_expect_eq(s.assured, rows[i].assured, "%s: %u assured", rows[i].name, s.assured);
		cr_expect_eq(s.common, rows[i].common, "%s: %u in common", rows[i].name, s.common);
	}
}

Test(pcp_shares, beyond_its_share_a_subscriber_gets_what_is_common)
{
	const struct pcp_shares s = { .limit = 100, .assured = 2, .common = 60 };
	static const struct {
		size_t total;
		uint32_t own;
		bool yes;
	} rows[] = {
		{ 0, 0, true },	 { 59, 31, true }, { 60, 31, false }, { 60, 2, false },
		{ 60, 1, true }, { 99, 1, true },  { 99, 0, true },   { 100, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(pcp_shares_admit(&s, rows[i].total, rows[i].own), rows[i].yes, "%u of %zu", rows[i].own,
			     rows[i].total);
}

/* Random requests and ends, by any of the subscribers. */
Test(pcp_shares, whatever_the_others_do_each_gets_what_it_is_assured)
{
	enum { SUBSCRIBERS = 50, MOST = 16 };

	srandom(7);
	for (uint32_t limit = SUBSCRIBERS; limit <= SUBSCRIBERS * MOST + 10; limit += 23) {
		const struct pcp_shares s = pcp_shares_of(limit, SUBSCRIBERS, MOST);
		uint32_t own[SUBSCRIBERS] = { 0 }, total = 0;

		cr_assert_gt(s.assured, 0);
		for (unsigned i = 0; i < 20000; i++) {
			uint32_t who = (uint32_t)random() % SUBSCRIBERS;

			if (random() % 8 == 0) {
				total -= own[who] > 0;
				own[who] -= own[who] > 0;
				continue;
			}
			if (own[who] == MOST)
				continue;
			if (!pcp_shares_admit(&s, total, own[who])) {
				cr_assert_geq(own[who], s.assured, "limit %u: refused the %u. lease", limit,
					      own[who] + 1);
				continue;
			}
			own[who]++;
			total++;
			cr_assert_leq(total, limit);
		}
	}
}
