/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefixes of `bypass` as disjoint ranges in order. */
#include <criterion/criterion.h>
#include <string.h>

#include "datapath/datapath.h"

static struct settings settings_of(const char *const *prefixes, size_t n)
{
	struct prefix list[MAX_BYPASS];
	struct config c = { .bypass = list, .n_bypass = n };
	struct settings settings;

	memset(&settings, 0xaa, sizeof(settings));
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(prefix_parse(prefixes[i], &list[i]), 0);
	bypass_ranges(&c, &settings);
	return settings;
}

static void expect_ranges(const char *name, const char *const *prefixes, size_t n, const struct address_range *want,
			  uint32_t n_want)
{
	struct settings s = settings_of(prefixes, n);

	cr_expect_eq(s.n_bypass, n_want, "%s: %u ranges", name, s.n_bypass);
	for (uint32_t i = 0; i < MAX_BYPASS; i++) {
		struct address_range r = i < n_want ? want[i] : (struct address_range){ .first = UINT32_MAX };

		cr_expect(s.bypass[i].first == r.first && s.bypass[i].last == r.last, "%s: range %u is %08x..%08x",
			  name, i, s.bypass[i].first, s.bypass[i].last);
	}
}

#define RANGES(name, prefixes, ...)                                           \
	expect_ranges(name, prefixes, sizeof(prefixes) / sizeof(*(prefixes)), \
		      (const struct address_range[]){ __VA_ARGS__ },          \
		      sizeof((const struct address_range[]){ __VA_ARGS__ }) / sizeof(struct address_range))

Test(bypass, ranges)
{
	static const char *const one[] = { "192.0.2.0/24" };
	static const char *const order[] = { "192.0.2.0/24", "10.0.0.0/8" };
	static const char *const within[] = { "10.0.0.0/8", "10.1.0.0/16", "10.255.255.255/32" };
	static const char *const twice[] = { "10.1.2.3/32", "10.1.2.3/32" };
	static const char *const adjoining[] = { "10.1.1.0/24", "10.1.0.0/24", "10.1.3.0/24" };
	static const char *const halves[] = { "128.0.0.0/1", "0.0.0.0/1" };
	static const char *const all[] = { "0.0.0.0/0", "255.255.255.255/32", "1.0.0.0/8" };
	static const char *const last[] = { "255.255.255.255/32", "255.255.255.253/32" };

	expect_ranges("none", NULL, 0, NULL, 0);
	RANGES("one", one, { 0xc0000200, 0xc00002ff });
	RANGES("in order", order, { 0x0a000000, 0x0affffff }, { 0xc0000200, 0xc00002ff });
	RANGES("one within another", within, { 0x0a000000, 0x0affffff });
	RANGES("twice", twice, { 0x0a010203, 0x0a010203 });
	RANGES("adjoining", adjoining, { 0x0a010000, 0x0a0101ff }, { 0x0a010300, 0x0a0103ff });
	RANGES("both halves", halves, { 0, UINT32_MAX });
	RANGES("everything", all, { 0, UINT32_MAX });
	RANGES("the last address", last, { 0xfffffffd, 0xfffffffd }, { 0xffffffff, 0xffffffff });
}
