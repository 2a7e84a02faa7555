// SPDX-License-Identifier: BSD-2-Clause
/* Times as people and servers write them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "leases/zone.h"

Test(zone, seconds_since_1970_have_a_fraction_at_most)
{
	static const struct {
		const char *text;
		int64_t t; /* -1: refused */
	} rows[] = {
		{ "1700000000", 1700000000 },	{ "1700000000.25", 1700000000 },
		{ "1700000000.", 1700000000 },	{ "999999999", 999999999 },
		{ "17000000000", 17000000000 }, { "1700000000.2x", -1 },
		{ "1700000000x", -1 },		{ "99999999", -1 },
		{ "170000000000", -1 },		{ "1700000000999", 1700000000 },
		{ "17000000009999", -1 },
	};
	struct zone zone = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t t = -1;
		struct error err;
		int r = zone_time_read(rows[i].text, &zone, &t, &err);

		cr_expect_eq(r, rows[i].t < 0 ? -EINVAL : 0, "%s: %d", rows[i].text, r);
		cr_expect_eq(t, rows[i].t, "%s: %lld", rows[i].text, (long long)t);
	}
}
