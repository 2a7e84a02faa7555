/* SPDX-License-Identifier: BSD-2-Clause */
/* Suspects, from sessions put into real maps by hand, with a clock that the test sets. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/copies.h>
#include <detnat/strangers.h>

#include "base/hash.h"
#include "base/notice.h"
#include "sessions/usage.h"
#include "suspects/suspects.h"
#include "tables/grant_table.h"
#include "suspects_fixture.h"
#include "tables_fixture.h"

#define NOW	 100000U
#define SECOND	 1000000ULL
#define HOUR	 (3600 * SECOND)
#define TCP_OPEN SESSION_SYN_SENT

static struct datapath datapath;
static struct mappings *m;
static struct parts parts;
static struct suspects *suspects;
static uint64_t now_us = 1000 * SECOND;

/* Notices as they come: address and text. */
static struct heard {
	unsigned n;
	uint32_t in_addr[256];
	char text[NOTICE_TEXT];
} heard;

static void hear(void *arg, const struct notice *n)
{
	cr_assert_str_eq(n->event, "suspect");
	cr_assert_eq(n->in.plen, 32);
	heard.in_addr[heard.n++ % ARRAY_SIZE(heard.in_addr)] = n->in.base;
	snprintf(heard.text, sizeof(heard.text), "%s", n->text);
}

static struct notice_listener listener = { .kinds = NOTICE_SUSPECTS, .heard = hear };

static void setup(void)
{
	struct error err = { 0 };
	struct mapping_spec spec = tables_spec("10.0.0.0/21", "1.1.1.0/28");

	tables_make(&datapath);
	cr_assert_eq(mappings_open(&datapath, &m, &err), 0, "%s", err.text);
	spec.session_slots = 64;
	tables_add(m, &spec);
	tables_set_ticks(&datapath, NOW);
	parts.mappings = m;
	cr_assert_eq(suspects_new(&parts, &suspects), 0);
	notice_listen(&listener);
}

TestSuite(suspects, .init = setup, .timeout = 300);
TestSuite(hll, .timeout = 300);

#define HOST(i) (0x0a000001 + (i))

static struct session session_with(uint32_t in_addr, uint32_t i, uint32_t ext, uint16_t ext_port, uint8_t state)
{
	const struct geometry *g = &mappings_get(m, mappings_find_any(m, in_addr))->geo;

	return (struct session){
		.ext_addr = 0xc6000000 + ext,
		.in_port = (uint16_t)(5000 + i),
		.out_port = (uint16_t)(mapping_port_lo(g, mapping_subscriber(g, in_addr)) + i),
		.ext_port = ext_port,
		.proto = state == SESSION_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.state = state,
	};
}

static void put(uint32_t in_addr, uint32_t slot, uint32_t ext, uint16_t ext_port, uint8_t state)
{
	struct session s = session_with(in_addr, slot, ext, ext_port, state);

	tables_put(m, in_addr, slot, &s, NOW);
}

static struct slot *put_beyond(uint32_t in_addr, uint32_t i, uint32_t ext, uint8_t state)
{
	struct session s = session_with(in_addr, 100 + i, ext, 443, state);

	return tables_put_beyond(m, in_addr, &s, NOW);
}

/* n half-open sessions to one address. */
static void put_half_open(uint32_t in_addr, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(in_addr, i, 1, 443, TCP_OPEN);
}

static void open_more(uint32_t in_addr, uint32_t openings)
{
	const struct geometry *g = &mappings_get(m, mappings_find_any(m, in_addr))->geo;

	mappings_subscriber(m, mappings_find_any(m, in_addr), mapping_subscriber(g, in_addr))->lock += 2 * openings;
}

/* A pass, so long after the one before. */
static void pass_after(uint64_t us)
{
	now_us += us;
	suspects_pass(suspects, m, now_us);
}

static uint64_t found(enum survey_kind kind)
{
	return suspects_figures(suspects).now[kind];
}

/* Always the same: what the product hashes with, each process draws anew. */
static uint64_t fixed_hash(uint64_t turn, uint64_t i)
{
	static const uint64_t key[2] = { 1, 2 };

	return siphash13(key, (const uint64_t[]){ turn, i }, 2);
}

Test(hll, counts_distinct_items_within_its_error)
{
	for (uint32_t n = 1; n <= 65536; n *= 2) {
		double sum = 0;

		for (uint32_t turn = 0; turn < 16; turn++) {
			struct hll h = { 0 };

			for (uint32_t i = 0; i < 2 * n; i++)
				hll_add(&h, fixed_hash(turn, i % n));

			double error = ((double)hll_count(&h) - n) / n;

			/* Five standard errors. */
			cr_assert(error < 0.165 && error > -0.165, "%u: %u", n, hll_count(&h));
			sum += error;
		}
		cr_expect(sum / 16 < 0.045 && sum / 16 > -0.045, "no bias at %u: %f", n, sum / 16);
	}
	cr_expect_eq(hll_count(&(struct hll){ 0 }), 0);
}

Test(hll, is_nearly_exact_for_few_items)
{
	struct hll h = { 0 };

	for (uint32_t i = 0; i < 20; i++)
		hll_add(&h, fixed_hash(0, i));
	cr_expect(hll_count(&h) >= 18 && hll_count(&h) <= 22, "%u", hll_count(&h));
}

Test(suspects, are_those_that_reach_a_threshold)
{
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .half_open = 20 });
	put_half_open(HOST(0), 20);
	put_half_open(HOST(1), 19);
	put(HOST(1), 20, 1, 443, SESSION_ESTABLISHED);
	put(HOST(1), 21, 1, 443, SESSION_SYN_SENT | SESSION_RESET);
	put(HOST(1), 22, 1, 443, SESSION_SYN_RECEIVED);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1);
	cr_expect_eq(heard.in_addr[0], HOST(0));
	cr_expect_str_eq(heard.text, "subscriber 10.0.0.1 has 20 half-open TCP sessions (threshold 20)");
	cr_expect_eq(found(SURVEY_HALF_OPEN), 1);
	put(HOST(1), 23, 1, 443, SESSION_SYN_ANSWERED);
	pass_after(SECOND);
	cr_expect_eq(heard.in_addr[1], HOST(1));
	cr_expect_eq(found(SURVEY_HALF_OPEN), 2);
}

Test(suspects, without_thresholds_there_are_none)
{
	put_half_open(HOST(0), 60);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 0);
	cr_expect_eq(found(SURVEY_HALF_OPEN), 0);
	cr_expect_not(suspects_figures(suspects).asked[SURVEY_HALF_OPEN]);
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .half_open = 60 });
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1, "the next pass has the new thresholds");
	suspects_configure(suspects, &(struct config_suspects){ 0 });
	cr_expect_eq(found(SURVEY_HALF_OPEN), 0);
}

Test(suspects, are_reported_once_an_hour)
{
	suspects_configure(suspects,
			   &(struct config_suspects){ .enabled = true, .half_open = 20, .destinations = 1000 });
	put_half_open(HOST(0), 20);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1);
	for (unsigned i = 1; i < 60; i++)
		pass_after(60 * SECOND);
	cr_expect_eq(heard.n, 1);
	cr_expect_eq(found(SURVEY_HALF_OPEN), 1, "the metric goes on");
	pass_after(60 * SECOND);
	cr_expect_eq(heard.n, 2, "an hour later");
	pass_after(SECOND);
	cr_expect_eq(heard.n, 2);
	cr_expect_eq(suspects_figures(suspects).told, 2);
}

Test(suspects, reports_of_a_pass_are_bounded_and_the_worst_come_first)
{
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .half_open = 10 });
	for (uint32_t i = 0; i < 40; i++)
		put_half_open(HOST(i), 10 + i);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 16);
	for (unsigned i = 0; i < 16; i++)
		cr_expect_eq(heard.in_addr[i], HOST(39 - i));
	cr_expect_eq(found(SURVEY_HALF_OPEN), 40, "all are counted");
	cr_expect_eq(suspects_figures(suspects).untold, 24);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 32);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 40);
	cr_expect_eq(suspects_figures(suspects).untold, 0);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 40, "each once");
}

Test(suspects, one_line_has_all_thresholds_that_a_subscriber_reaches)
{
	suspects_configure(suspects,
			   &(struct config_suspects){ .enabled = true, .half_open = 5, .destinations = 5, .rate = 50 });
	for (uint32_t i = 0; i < 10; i++)
		put(HOST(0), i, i, 443, TCP_OPEN);
	put(HOST(1), 0, 1, 443, SESSION_UDP);
	open_more(HOST(0), 1000);
	open_more(HOST(1), 1000);
	/* What was opened before the first pass is nobody's rate. */
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1);
	/* How many external addresses is an estimate. */
	cr_expect(!strncmp(heard.text, "subscriber 10.0.0.1 has 10 half-open TCP sessions (threshold 5), ", 65), "%s",
		  heard.text);
	cr_expect(strstr(heard.text, " external addresses (threshold 5)") && !strstr(heard.text, "openings"), "%s",
		  heard.text);
	open_more(HOST(0), 600);
	open_more(HOST(1), 490);
	pass_after(10 * SECOND);
	cr_expect_eq(heard.n, 1, "the other one opened 49 a second");
	cr_expect_eq(found(SURVEY_RATE), 1);
	open_more(HOST(0), 600);
	pass_after(HOUR);
	cr_expect_eq(found(SURVEY_RATE), 0, "600 an hour");
}

Test(suspects, rates_are_between_two_passes)
{
	const struct top_figure *rates;
	size_t n;

	put(HOST(0), 0, 1, 443, SESSION_UDP);
	put(HOST(1), 0, 1, 443, SESSION_UDP);
	put(HOST(2), 0, 1, 443, SESSION_UDP);
	open_more(HOST(0), 77);
	cr_expect_null(suspects_rates(suspects, SURVEY_RATE, &n));
	pass_after(SECOND);
	cr_expect_null(suspects_rates(suspects, SURVEY_RATE, &n), "one pass shows no rate");
	open_more(HOST(0), 10);
	open_more(HOST(1), 105);
	pass_after(5 * SECOND);
	rates = suspects_rates(suspects, SURVEY_RATE, &n);
	cr_assert_eq(n, 2);
	cr_expect(rates[0].in_addr == HOST(1) && rates[0].figure == 21);
	cr_expect(rates[1].in_addr == HOST(0) && rates[1].figure == 2);
	/* Two passes in quick succession: the rates stay. */
	open_more(HOST(0), 1000);
	pass_after(SECOND / 2);
	rates = suspects_rates(suspects, SURVEY_RATE, &n);
	cr_expect(n == 2 && rates[0].figure == 21);
	pass_after(SECOND / 2);
	rates = suspects_rates(suspects, SURVEY_RATE, &n);
	cr_expect(n == 1 && rates[0].in_addr == HOST(0) && rates[0].figure == 1000);
	pass_after(5 * SECOND);
	suspects_rates(suspects, SURVEY_RATE, &n);
	cr_expect_eq(n, 0);
}

Test(suspects, a_pass_that_breaks_off_leaves_no_rate_behind)
{
	const struct top_figure *rates;
	size_t n;

	put(HOST(0), 0, 1, 443, SESSION_UDP);
	pass_after(SECOND);
	open_more(HOST(0), 5000);
	now_us += 100 * SECOND;
	cr_assert(suspects_begin(suspects, now_us));
	suspects_abort(suspects);
	pass_after(SECOND);
	cr_expect_null(suspects_rates(suspects, SURVEY_RATE, &n));
	open_more(HOST(0), 7);
	pass_after(SECOND);
	rates = suspects_rates(suspects, SURVEY_RATE, &n);
	cr_expect(n == 1 && rates[0].figure == 7);
}

static struct stranger_line *stranger_lines;

/* As datapath_stranger_hosts_make() does. */
static void count_strangers(void)
{
	stranger_lines = calloc(STRANGER_HOST_LINES, sizeof(*stranger_lines));
	cr_assert(stranger_lines);
	datapath.stranger_host = stranger_lines;
}

static void send_strangers(uint32_t in_addr, uint32_t packets)
{
	const struct mapping *record = mappings_get(m, mappings_find_any(m, in_addr));
	uint32_t number = record->first_subscriber + mapping_subscriber(&record->geo, in_addr);

	stranger_lines[number / STRANGER_LINE].packets[number % STRANGER_LINE] += packets;
}

static void expect_inbound(uint32_t in_addr, uint32_t rate)
{
	size_t n;
	const struct top_figure *rates = suspects_rates(suspects, SURVEY_INBOUND, &n);

	for (size_t i = 0; i < n; i++)
		if (rates[i].in_addr == in_addr) {
			cr_expect_eq(rates[i].figure, rate, "%u instead of %u", rates[i].figure, rate);
			return;
		}
	cr_expect_eq(rate, 0, "not listed");
}

Test(suspects, packets_of_strangers_are_rates_between_two_passes)
{
	size_t n;

	count_strangers();
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .inbound = 100 });
	send_strangers(HOST(0), 100000);
	pass_after(SECOND);
	cr_expect_null(suspects_rates(suspects, SURVEY_INBOUND, &n), "one pass shows no rate");
	cr_expect_eq(heard.n, 0);
	send_strangers(HOST(0), 990);
	send_strangers(HOST(1), 1000);
	send_strangers(HOST(2000), 10);
	pass_after(10 * SECOND);
	expect_inbound(HOST(0), 99);
	expect_inbound(HOST(1), 100);
	expect_inbound(HOST(2000), 1);
	expect_inbound(HOST(3), 0);
	cr_expect_eq(found(SURVEY_INBOUND), 1);
	cr_expect_eq(heard.n, 1);
	cr_expect_str_eq(heard.text, "subscriber 10.0.0.2 has 100 packets of strangers a second (threshold 100)");
	send_strangers(HOST(1), UINT32_MAX);
	pass_after(10 * SECOND);
	expect_inbound(HOST(1), 429496730);
	expect_inbound(HOST(0), 0);
	cr_expect_eq(heard.n, 1, "once an hour");
}

Test(suspects, packets_of_strangers_need_counters)
{
	size_t n;

	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .inbound = 1 });
	pass_after(SECOND);
	pass_after(SECOND);
	cr_expect_null(suspects_rates(suspects, SURVEY_INBOUND, &n));
}

Test(suspects, a_subscriber_whose_sessions_and_strangers_reach_thresholds_has_one_report)
{
	count_strangers();
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .half_open = 5, .inbound = 10 });
	pass_after(SECOND);
	put_half_open(HOST(0), 9);
	send_strangers(HOST(0), 30);
	send_strangers(HOST(1), 40);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 2);
	cr_expect(heard.in_addr[0] == HOST(1) && heard.in_addr[1] == HOST(0), "the worst first");
	cr_expect_str_eq(heard.text, "subscriber 10.0.0.1 has 9 half-open TCP sessions (threshold 5), "
				     "30 packets of strangers a second (threshold 10)");
	cr_expect_eq(suspects_figures(suspects).told, 2);
	cr_expect_eq(suspects_figures(suspects).untold, 0);
}

Test(suspects, a_pass_that_breaks_off_leaves_no_rate_of_strangers_behind)
{
	count_strangers();
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .inbound = 1 });
	pass_after(SECOND);
	send_strangers(HOST(0), 700);
	now_us += SECOND;
	cr_assert(suspects_begin(suspects, now_us));
	suspects_step(suspects, now_us, 0);
	suspects_abort(suspects);
	send_strangers(HOST(0), 900);
	pass_after(SECOND);
	expect_inbound(HOST(0), 0);
	send_strangers(HOST(0), 7);
	pass_after(SECOND);
	expect_inbound(HOST(0), 7);
}

/* Counters that another mapping left behind. */
Test(suspects, a_mapping_that_comes_later_begins_at_0)
{
	struct mapping_spec spec = tables_spec("10.7.0.0/28", "1.1.2.0/28");

	count_strangers();
	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .inbound = 1 });
	pass_after(SECOND);
	for (uint32_t line = 1; line < STRANGER_HOST_LINES; line++)
		for (uint32_t i = 0; i < STRANGER_LINE; i++)
			stranger_lines[line].packets[i] = 5000;
	spec.session_slots = 64;
	tables_add(m, &spec);
	pass_after(SECOND);
	expect_inbound(0x0a070001, 0);
	expect_inbound(HOST(100), 5000);
	send_strangers(0x0a070001, 3);
	pass_after(SECOND);
	expect_inbound(0x0a070001, 3);
}

Test(suspects, sessions_beyond_the_slots_count)
{
	suspects_configure(suspects,
			   &(struct config_suspects){ .enabled = true, .half_open = 300, .destinations = 200 });
	for (uint32_t i = 0; i < 50; i++)
		put(HOST(0), i, i, 443, TCP_OPEN);
	for (uint32_t i = 0; i < 250; i++)
		put_beyond(HOST(0), i, 25 + i, TCP_OPEN);
	for (uint32_t i = 0; i < 299; i++)
		put_beyond(HOST(1), i, i % 100, TCP_OPEN);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1);
	cr_expect_eq(heard.in_addr[0], HOST(0));
	cr_expect_eq(found(SURVEY_HALF_OPEN), 1);
	cr_expect_eq(found(SURVEY_DESTINATIONS), 1);
	cr_expect(strstr(heard.text, " 300 half-open TCP sessions"), "%s", heard.text);
}

Test(suspects, copies_of_a_peer_s_sessions_beyond_the_slots_do_not_count)
{
	struct slot *first = NULL;

	suspects_configure(suspects, &(struct config_suspects){ .enabled = true, .half_open = 4 });
	for (uint32_t i = 0; i < 4; i++)
		first = put_beyond(HOST(0), i, i, TCP_OPEN);
	first->truth = word_owned(first->truth, 1, 0);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 0);
	put_beyond(HOST(0), 4, 4, TCP_OPEN);
	pass_after(SECOND);
	cr_expect_eq(heard.n, 1);
}

/* The survey itself */

static struct surveyed all[1024];
static unsigned n_all;

static void collect(void *arg, const struct surveyed *s)
{
	all[n_all++] = *s;
}

static uint32_t copies_of(void *arg, int number, uint32_t subscriber, uint64_t bits[static SURVEY_SLOT_WORDS])
{
	bits[0] = *(const uint64_t *)arg;
	return (uint32_t)__builtin_popcountll(bits[0]);
}

static void survey(const struct survey_rules *rules, unsigned budget_us)
{
	struct survey *s;
	int r;

	n_all = 0;
	cr_assert_eq(survey_new(m, rules, &s), 0);
	while ((r = survey_step(s, budget_us)) > 0)
		;
	cr_assert_eq(r, 0);
	survey_free(s);
}

Test(suspects, a_survey_counts_ports_that_are_asked_for_alone)
{
	struct survey_rules rules = { .least = { 1, 1, SURVEY_NEVER, SURVEY_NEVER },
				      .ports = { .port = { 25, 22 }, .n = 2 },
				      .report = collect };

	for (uint32_t i = 0; i < 12; i++)
		put(HOST(0), i, i, i % 3 == 0 ? 25 : i % 3 == 1 ? 22 : 443, TCP_OPEN);
	put(HOST(1), 0, 1, 443, TCP_OPEN);
	survey(&rules, 0);
	cr_assert_eq(n_all, 1);
	cr_expect_eq(all[0].n[SURVEY_HALF_OPEN], 8);
	cr_expect(all[0].n[SURVEY_DESTINATIONS] > 4 && all[0].n[SURVEY_DESTINATIONS] <= 8);
	rules.ports.n = 0;
	survey(&rules, 1000);
	cr_assert_eq(n_all, 2);
	cr_expect_eq(all[0].n[SURVEY_HALF_OPEN], 12);
}

Test(suspects, copies_in_slots_do_not_count)
{
	uint64_t marked = 0xf0;
	struct survey_rules rules = { .least = { 1, 1, SURVEY_NEVER, SURVEY_NEVER },
				      .copies = copies_of,
				      .copies_arg = &marked,
				      .report = collect };

	for (uint32_t i = 0; i < 8; i++)
		put(HOST(0), i, i, 443, TCP_OPEN);
	survey(&rules, 1000);
	cr_assert_eq(n_all, 1);
	cr_expect_eq(all[0].n[SURVEY_HALF_OPEN], 4);
	cr_expect(all[0].n[SURVEY_DESTINATIONS] > 1 && all[0].n[SURVEY_DESTINATIONS] <= 4);
	marked = 0xff;
	survey(&rules, 1000);
	cr_expect_eq(n_all, 0);
}
