// SPDX-License-Identifier: BSD-2-Clause
/* Mappings with blocks of their own in the lines of a history, and what `who` says of them. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "history_text.h"

TestSuite(history_blocks, .init = told_setup, .fini = told_teardown);

static const struct plan_blocks by_33 = { 33, 1024, 1954, 1954, 0 }, netmap = { 32, 1536, 2000, 1998, 1 };

static struct history_mapping with(struct plan_blocks blocks, int64_t from)
{
	struct history_mapping m = told_mapping("10.0.0.0/21", "192.0.2.0/26", from);

	m.blocks = blocks;
	return m;
}

static void put(int64_t time, enum history_event event, struct history_mapping m)
{
	told_put((struct history_record){ .time = time, .event = event, .mapping = m });
}

/* The line of a record, without its hash. */
static const char *line_of(struct history_record r)
{
	static char line[1024];

	told_start_anew();
	told_put(r);
	cr_assert_lt(told.size, sizeof(line));
	snprintf(line, sizeof(line), "%s", told.text);
	*strstr(line, ",\"hash\"") = '\0';
	return line;
}

#define PREFIXES "\"in\":\"10.0.0.0/21\",\"out\":\"192.0.2.0/26\",\"from\":\"1970-01-01T00:00:00Z\""

Test(history_blocks, a_line_has_all_parameters_where_they_are_not_the_defaults)
{
	cr_expect_str_eq(line_of((struct history_record){ .event = EVENT_ADD, .mapping = with(netmap, 0) }),
			 "{\"line\":1,\"time\":\"1970-01-01T00:00:00Z\",\"event\":\"add\"," PREFIXES
			 ",\"to\":null,\"algorithm\":\"blocks\",\"port_lo\":1536,\"port_hi\":65533,\"order\":"
			 "\"netmap\",\"first_port\":1536,\"sharing_ratio\":32,\"block_pitch\":2000,"
			 "\"ports_per_host\":1998");
	cr_expect_str_eq(
		line_of((struct history_record){ .event = EVENT_ADD, .mapping = with((struct plan_blocks){ 0 }, 0) }),
		"{\"line\":1,\"time\":\"1970-01-01T00:00:00Z\",\"event\":\"add\"," PREFIXES
		",\"to\":null,\"algorithm\":\"sequential\",\"port_lo\":1024,\"port_hi\":65535,\"sharing_ratio\":32,"
		"\"ports_per_host\":2016");
}

Test(history_blocks, a_list_names_the_format_that_it_needs)
{
	struct history_mapping list[] = { told_mapping(A, 0), with(by_33, 0) };
	struct history_record r = {
		.event = EVENT_START, .since = TIME_NONE, .host = "h", .mappings = list, .n_mappings = 1
	};

	cr_expect(strstr(line_of(r), "\"format\":3,"));
	cr_expect(strstr(line_of(r), "\"algorithm\":\"sequential\""));
	r.n_mappings = 2;
	cr_expect(strstr(line_of(r), "\"format\":4,"));
	cr_expect(strstr(line_of(r), "\"algorithm\":\"blocks\""));
}

Test(history_blocks, mappings_are_read_back_with_their_blocks)
{
	const struct plan_blocks rows[] = { by_33, netmap, { 0 }, { 33, 0, 1900, 1899, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history_index x;

		told_start_anew();
		told_put_start(100, TIME_NONE);
		put(200, EVENT_ADD, with(rows[i], 200));
		told_put_confirm(200);
		x = told_read_back();
		told_no_damage(&x);
		cr_assert_eq(x.mappings.n_open, 1);
		cr_expect(plan_blocks_same(&x.mappings.interval[x.mappings.open[0]].mapping.blocks, &rows[i]));
		history_index_free(&x);
	}
}

Test(history_blocks, blocks_equal_to_the_defaults_are_the_defaults)
{
	const struct plan_blocks same = { 32, 1024, 2016, 2016, 0 };
	struct geometry g;
	struct plan_blocks b;
	struct history_mapping m = with(same, 0);

	cr_assert_eq(plan_blocks_geometry(m.in, m.out, &same, &g), 0);
	b = plan_blocks_of(&g);
	cr_expect(plan_blocks_default(&b));
}

Test(history_blocks, the_pitch_of_a_single_block_and_the_order_of_a_single_address_are_the_defaults)
{
	struct mapping_parameters p = { .in_base = 0x0a000000,
					.last_subscriber = 3,
					.out_base = 0xc0000200,
					.last_out = 3,
					.ratio = 1,
					.first_port = 1024,
					.pitch = 65535,
					.ports_per_host = 64512,
					.netmap = true };
	struct geometry g;
	struct plan_blocks b;

	cr_assert_eq(mapping_make(&p, &g), 0);
	b = plan_blocks_of(&g);
	cr_expect(plan_blocks_default(&b));
	p.last_out = 0;
	p.ratio = 4;
	p.pitch = p.ports_per_host = 16128;
	cr_assert_eq(mapping_make(&p, &g), 0);
	b = plan_blocks_of(&g);
	cr_expect(plan_blocks_default(&b));
}

Test(history_blocks, addresses_that_are_not_translated_have_no_blocks)
{
	const struct geometry g = { .in_base = 0x0a000000, .in_plen = 30, .ratio = 7, .pitch = 9 };
	struct plan_blocks b = plan_blocks_of(&g);

	cr_expect(plan_blocks_default(&b));
}

Test(history_blocks, blocks_that_do_not_fit_are_damage)
{
	static const char *const wrong[] = {
		"\"order\":\"netmap\",\"first_port\":1536,\"sharing_ratio\":33,\"block_pitch\":2000,\"ports_per_host\":"
		"1998",
		"\"order\":\"sideways\",\"first_port\":1536,\"sharing_ratio\":32,\"block_pitch\":2000,"
		"\"ports_per_host\":1998",
		"\"order\":\"netmap\",\"first_port\":1536,\"sharing_ratio\":0,\"block_pitch\":0,\"ports_per_host\":0",
		"\"order\":\"netmap\",\"first_port\":65536,\"sharing_ratio\":32,\"block_pitch\":2000,"
		"\"ports_per_host\":1998",
		"\"order\":\"netmap\",\"sharing_ratio\":32,\"block_pitch\":2000,\"ports_per_host\":1998",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[1024];
		struct history_record r;
		struct error err = { 0 };

		snprintf(line, sizeof(line),
			 "{\"line\":1,\"time\":\"1970-01-01T00:00:00Z\",\"event\":\"add\"," PREFIXES
			 ",\"to\":null,\"algorithm\":\"blocks\",%s}",
			 wrong[i]);
		cr_expect_eq(history_record_read(line, strlen(line), &r, &err), -EINVAL, "%s", wrong[i]);
	}
}

Test(history_blocks, who_follows_a_change_of_blocks_alone)
{
	static const struct {
		const char *endpoint;
		int64_t t;
		const char *said;
	} rows[] = {
		{ "192.0.2.1:1024", 150, "10.0.0.32" },	   { "192.0.2.1:1024", 250, "10.0.0.33" },
		{ "192.0.2.1:1536", 350, "10.0.0.1" },	   { "192.0.2.1:3536", 350, "10.0.0.65" },
		{ "192.0.2.1:1024", 350, "nobody" },	   { "192.0.2.1:3534", 350, "nobody" },
		{ "192.0.2.63:65535", 150, "10.0.7.255" }, { "192.0.2.63:2000", 250, "nobody" },
		{ "192.0.2.62:2000", 250, "10.0.7.254" },
	};
	struct history_index x;

	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, with((struct plan_blocks){ 0 }, 100));
	told_put_confirm(100);
	put(200, EVENT_DEL, with((struct plan_blocks){ 0 }, 100));
	put(200, EVENT_ADD, with(by_33, 200));
	told_put_confirm(200);
	put(300, EVENT_DEL, with(by_33, 200));
	put(300, EVENT_ADD, with(netmap, 300));
	told_put_confirm(300);
	x = told_read_back();
	told_no_damage(&x);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(told_ask(&x, rows[i].endpoint, rows[i].t), rows[i].said, "%s at %d: %s",
				 rows[i].endpoint, (int)rows[i].t, told_ask(&x, rows[i].endpoint, rows[i].t));
	history_index_free(&x);
}

Test(history_blocks, who_says_why_a_port_had_no_subscriber)
{
	static const struct {
		const char *endpoint;
		bool netmap;
		const char *said;
	} rows[] = {
		{ "192.0.2.1:1535", true, "ports below 1536 of mapping 10.0.0.0/21 to 192.0.2.0/26 are in no block" },
		{ "192.0.2.1:3534", true, "the port lies between two blocks of mapping 10.0.0.0/21 to 192.0.2.0/26" },
		{ "192.0.2.63:2000", false,
		  "the port is in a block of mapping 10.0.0.0/21 to 192.0.2.0/26 that no subscriber has" },
		{ "192.0.2.0:65506", false,
		  "the port is one of the remainder of mapping 10.0.0.0/21 to 192.0.2.0/26, which nobody has" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error why = { 0 };
		struct who_answer a;
		struct endpoint e;
		struct history_index x;
		struct who *w;

		told_start_anew();
		told_put_start(100, TIME_NONE);
		put(100, EVENT_ADD, with(rows[i].netmap ? netmap : by_33, 100));
		told_put_confirm(100);
		x = told_read_back();
		told_no_damage(&x);
		cr_assert_eq(who_new(&x, &w), 0);
		cr_assert_eq(endpoint_parse(rows[i].endpoint, &e), 0);
		cr_expect_eq(who_ask(w, e, 200, &a, &why), WHO_NOBODY, "%s", rows[i].endpoint);
		cr_expect_str_eq(why.text, rows[i].said, "%s", why.text);
		who_free(w);
		history_index_free(&x);
	}
}
