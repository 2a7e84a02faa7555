// SPDX-License-Identifier: BSD-2-Clause
/* Suspects by packets of strangers: which are told of, in large mappings and where tenants share addresses. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include <detnat/strangers.h>

#include "base/notice.h"
#include "suspects/suspects.h"
#include "suspects_fixture.h"
#include "tables_fixture.h"

#define SECOND 1000000ULL
#define HOUR   (3600 * SECOND)

static struct datapath datapath;
static struct mappings *m;
static struct parts parts;
static struct suspects *suspects;
static struct stranger_line *lines;
static uint64_t now_us = 1000 * SECOND;

static uint32_t heard[256];
static unsigned n_heard;

static void hear(void *arg, const struct notice *n)
{
	heard[n_heard++ % ARRAY_SIZE(heard)] = n->in.base;
}

static struct notice_listener listener = { .kinds = NOTICE_SUSPECTS, .heard = hear };

static void setup(void)
{
	struct error err = { 0 };

	tables_make(&datapath);
	lines = calloc(STRANGER_HOST_LINES, sizeof(*lines));
	cr_assert(lines);
	datapath.stranger_host = lines;
	cr_assert_eq(mappings_open(&datapath, &m, &err), 0, "%s", err.text);
	parts.mappings = m;
	cr_assert_eq(suspects_new(&parts, &suspects), 0);
	notice_listen(&listener);
}

TestSuite(suspects_told, .init = setup, .timeout = 300);

static int add(const char *in, const char *out, uint8_t tenant)
{
	struct mapping_spec spec = tables_spec(in, out);

	spec.session_slots = 64;
	spec.tenant = tenant;
	return tables_add(m, &spec);
}

static void strangers(int number, uint32_t subscriber, uint32_t packets)
{
	uint32_t at = mappings_get(m, number)->first_subscriber + subscriber;

	lines[at / STRANGER_LINE].packets[at % STRANGER_LINE] += packets;
}

static void pass_after(uint64_t us)
{
	now_us += us;
	suspects_pass(suspects, m, now_us);
}

static void begin(uint32_t threshold)
{
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .inbound = threshold });
	pass_after(SECOND);
}

Test(suspects_told, subscribers_of_two_tenants_with_one_address_are_two)
{
	int a = add("10.0.0.0/24", "1.1.1.0/28", 1), b = add("10.0.0.0/24", "1.1.2.0/28", 2);
	const struct top_figure *rates;
	size_t n;

	begin(100);
	strangers(a, 5, 300);
	pass_after(SECOND);
	cr_expect_eq(n_heard, 1);
	strangers(a, 5, 300);
	strangers(b, 5, 200);
	pass_after(SECOND);
	cr_expect_eq(n_heard, 2, "the other one's report is not that of the first");
	cr_expect_eq(suspects_figures(suspects).told, 2);
	rates = suspects_rates(suspects, SURVEY_INBOUND, &n);
	cr_assert_eq(n, 2);
	cr_expect(rates[0].figure == 300 && rates[0].tenant == 1);
	cr_expect(rates[1].figure == 200 && rates[1].tenant == 2);
	cr_expect_eq(rates[0].in_addr, rates[1].in_addr);
}

Test(suspects_told, each_counter_of_a_large_mapping_is_read_in_each_pass)
{
	static const uint32_t some[] = { 0, 1, 4095, 4096, 4097, 8191 };
	int small = add("10.9.0.0/28", "1.1.2.0/30", 0), large = add("10.0.0.0/19", "1.1.1.0/25", 0);
	int last = add("10.8.0.0/28", "1.1.3.0/30", 0);

	begin(50);
	for (uint32_t turn = 1; turn < 3; turn++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(some); i++)
			strangers(large, some[i], 100 + i);
		strangers(small, 0, 1);
		strangers(small, 15, 1000);
		strangers(last, 0, 500);
		pass_after(SECOND);
		cr_expect_eq(suspects_figures(suspects).now[SURVEY_INBOUND], ARRAY_SIZE(some) + 2);
		pass_after(SECOND);
		cr_expect_eq(suspects_figures(suspects).now[SURVEY_INBOUND], 0);
	}
	cr_expect_eq(n_heard, ARRAY_SIZE(some) + 2);
}

Test(suspects_told, of_equal_ones_those_with_the_lowest_addresses_are_told_of_first)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 0);

	begin(10);
	for (uint32_t k = 0; k < 20; k++)
		strangers(number, 100 - k, 50);
	pass_after(SECOND);
	cr_assert_eq(n_heard, 16);
	for (uint32_t k = 0; k < 16; k++)
		cr_expect_eq(heard[k], 0x0a000000 + 81 + k);
	cr_expect_eq(suspects_figures(suspects).untold, 4);
}

Test(suspects_told, one_that_goes_on_is_told_of_once_an_hour)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 0);
	unsigned told = 0;

	begin(10);
	for (unsigned k = 0; k < 13; k++) {
		strangers(number, 3, 100000);
		pass_after(HOUR / 4);
		told += k % 4 == 0;
		cr_expect_eq(n_heard, told, "after %u quarters: %u", k, n_heard);
	}
}

Test(suspects_told, no_rate_is_too_high_to_be_told_of)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 0);

	begin(1);
	strangers(number, 3, 1U << 24);
	strangers(number, 4, 50);
	pass_after(SECOND);
	cr_expect_eq(n_heard, 2);
	cr_expect_eq(heard[0], 0x0a000003);
}
