/* SPDX-License-Identifier: BSD-2-Clause */
/* Histories as text: what they say, what is noticed of damage, and what is still answered then. */
#include <criterion/criterion.h>

#include <string.h>

#include "proto/history_who.h"

/* A history in the making. */
static char *text;
static size_t size;
static FILE *out;
static char hash[HASH_TEXT];
static uint64_t line, confirmed, format;
static struct history_mapping none[1];

static void setup(void)
{
	out = open_memstream(&text, &size);
	strcpy(hash, HASH_NONE);
	line = confirmed = format = 0;
}

static void teardown(void)
{
	fclose(out);
	free(text);
}

static void start_anew(void)
{
	teardown();
	setup();
}

TestSuite(history_index, .init = setup, .fini = teardown);

static struct history_mapping mapping(const char *in, const char *out_text, int64_t from)
{
	struct history_mapping m = { .from = from };

	cr_assert_eq(prefix_parse(in, &m.in), 0);
	cr_assert_eq(prefix_parse(out_text, &m.out), 0);
	return m;
}

static void put(struct history_record r)
{
	r.line = ++line;
	cr_assert_eq(history_record_write(out, &r, hash, hash), 0);
	fflush(out);
}

static void put_start(int64_t time, int64_t since)
{
	put((struct history_record){
		.time = time, .event = EVENT_START, .since = since, .host = "h", .mappings = none, .format = format });
}

static void put_change(int64_t time, enum history_event event, const char *in, const char *out_text, int64_t from)
{
	put((struct history_record){ .time = time, .event = event, .mapping = mapping(in, out_text, from) });
}

/* What the lines since the last confirmation say was so by then. */
static void put_confirm(int64_t until)
{
	put((struct history_record){
		.time = until, .event = EVENT_CONFIRM, .first = confirmed + 1, .last = line, .until = until });
	confirmed = line;
}

static struct history_index read_back(void)
{
	struct history_index x;
	size_t used;

	history_index_init(&x);
	cr_assert_eq(history_index_feed_all(&x, text, size, &used), 0);
	cr_assert_eq(used, size);
	return x;
}

/* "10.0.0.5", "nobody", "no record"; with "+10.0.0.9" where that held it, too. */
static const char *ask(const struct history_index *x, const char *endpoint, int64_t t)
{
	static char said[2 * ADDR_TEXT + 16];
	char addr[ADDR_TEXT];
	struct who_answer a;
	struct endpoint e;
	struct who *w;
	enum who_result r;

	cr_assert_eq(endpoint_parse(endpoint, &e), 0);
	cr_assert_eq(who_new(x, &w), 0);
	r = who_ask(w, e, t, &a, NULL);
	strcpy(said, r == WHO_FOUND ? addr_format(a.best.in_addr, addr) : r == WHO_NOBODY ? "nobody" : "no record");
	if (a.other)
		snprintf(said + strlen(said), 32, "+%s", addr_format(a.other->in_addr, addr));
	who_free(w);
	return said;
}

#define A     "10.0.0.0/24", "1.1.1.0/32"
#define B     "10.9.0.0/24", "1.1.1.0/32"
#define POINT "1.1.1.0:1024"

static void no_damage(const struct history_index *x)
{
	cr_assert_eq(x->n_damages, 0, "line %d %s", (int)x->damages[0].line, x->damages[0].text);
}

Test(history_index, two_changes_in_a_second_name_the_last_and_mention_the_other)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_confirm(100);
	put_change(200, EVENT_DEL, A, 100);
	put_change(200, EVENT_ADD, B, 200);
	put_confirm(200);
	put_change(300, EVENT_DEL, B, 200);
	put_confirm(300);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 99), "no record");
	cr_expect_str_eq(ask(&x, "1.1.1.0:1023", 99), "nobody");
	cr_expect_str_eq(ask(&x, POINT, 100), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 200), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 201), "10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 300), "nobody+10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 301), "nobody");
	cr_expect_str_eq(ask(&x, "1.1.1.1:1024", 200), "nobody");
	cr_expect_str_eq(ask(&x, "1.1.1.0:65535", 150), "10.0.0.255");
	history_index_free(&x);
}

Test(history_index, a_mapping_of_less_than_a_second_is_mentioned)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_confirm(100);
	put_change(100, EVENT_DEL, A, 100);
	put_confirm(100);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 100), "nobody+10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 101), "nobody");
	history_index_free(&x);
}

Test(history_index, of_equals_in_a_second_the_last_is_mentioned)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_confirm(100);
	put_change(100, EVENT_DEL, A, 100);
	put_change(100, EVENT_ADD, B, 100);
	put_confirm(100);
	put_change(100, EVENT_DEL, B, 100);
	put_confirm(100);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 100), "nobody+10.9.0.0");
	history_index_free(&x);
}

Test(history_index, what_is_undone_was_never_there)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_confirm(100);
	put_change(200, EVENT_DEL, A, 100);
	put_change(200, EVENT_ADD, B, 200);
	put((struct history_record){ .time = 250, .until = 250, .event = EVENT_UNDO, .first = 4, .last = 5 });

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0");
	/* Or for so long that it was taken back. */
	cr_expect_str_eq(ask(&x, POINT, 200), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 250), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 251), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 1000), "10.0.0.0");
	history_index_free(&x);
}

Test(history_index, a_clock_set_back_has_two_reckonings)
{
	put_start(1000, TIME_NONE);
	put_change(1000, EVENT_ADD, A, 1000);
	put_confirm(1000);
	put_change(2000, EVENT_DEL, A, 1000);
	put_change(2000, EVENT_ADD, B, 2000);
	put_confirm(2000);
	put((struct history_record){ .time = 1500, .event = EVENT_CLOCK, .since = 2500, .after = 1500 });
	put_change(1600, EVENT_DEL, B, 1500);
	put_change(1600, EVENT_ADD, A, 1600);
	put_confirm(1600);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 1400), "10.0.0.0");
	/* Then A by the first reckoning and B by the second, which is believed. */
	cr_expect_str_eq(ask(&x, POINT, 1550), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 2100), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 2600), "10.0.0.0");
	history_index_free(&x);
}

Test(history_index, a_clock_from_the_future_does_not_hide_the_present)
{
	put_start(4000000000, TIME_NONE);
	put_change(4000000000, EVENT_ADD, A, 4000000000);
	put_confirm(4000000000);
	put((struct history_record){
		.time = 1800000000, .event = EVENT_CLOCK, .since = 4000000060, .after = 1800000000 });
	put_change(1800000100, EVENT_DEL, A, 1800000000);
	put_confirm(1800000100);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 1799999999), "no record");
	cr_expect_str_eq(ask(&x, POINT, 1800000050), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 1800000101), "nobody");
	cr_expect_lt(x.listed_time, 1800000001);
	history_index_free(&x);
}

Test(history_index, of_the_time_in_which_the_datapath_went_there_is_no_record)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_confirm(100);
	put_start(300, 200);
	put_change(300, EVENT_ADD, B, 300);
	put_confirm(300);

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 201), "no record");
	cr_expect_str_eq(ask(&x, POINT, 299), "no record");
	cr_expect_str_eq(ask(&x, POINT, 300), "10.9.0.0");
	history_index_free(&x);
}

/* Damage. */

/* Six lines: start, add A, daily, del A, add B, daily. */
static void put_six(void)
{
	struct history_mapping a = mapping(A, 100), b = mapping(B, 300);

	format = 2;
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put((struct history_record){ .time = 200, .event = EVENT_DAILY, .mappings = &a, .n_mappings = 1 });
	put_change(300, EVENT_DEL, A, 100);
	put_change(300, EVENT_ADD, B, 300);
	put((struct history_record){ .time = 400, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
}

static char *line_at(unsigned number)
{
	char *at = text;

	while (--number)
		at = strchr(at, '\n') + 1;
	return at;
}

static void remove_line(unsigned number)
{
	char *at = line_at(number), *next = strchr(at, '\n') + 1;

	size -= (size_t)(next - at);
	memmove(at, next, size - (size_t)(at - text));
}

Test(history_index, any_octet_changed_is_noticed_at_its_line)
{
	put_six();

	size_t number = 1;

	for (size_t i = 0; i < size; i++) {
		struct history_index x;
		char was = text[i];

		if (was == '\n') {
			number++;
			continue;
		}
		text[i] = was == '0' ? '1' : '0';
		x = read_back();
		cr_assert_eq(x.n_damages ? x.damages[0].line : 0, number, "octet %zu", i);
		cr_assert_leq(x.n_damages, 2);
		history_index_free(&x);
		text[i] = was;
	}
}

Test(history_index, any_line_removed_is_noticed_at_its_place)
{
	for (unsigned number = 1; number < 6; number++) {
		struct history_index x;

		start_anew();
		put_six();
		remove_line(number);
		x = read_back();
		cr_expect_geq(x.n_damages, 1);
		cr_expect_eq(x.damages[0].line, number, "line %u", number);
		cr_expect(strstr(x.damages[0].text, "missing"), "%s", x.damages[0].text);
		history_index_free(&x);
	}
}

Test(history_index, after_damage_later_lines_still_answer)
{
	struct history_mapping b = mapping(B, 300);

	put_six();
	/* The beginning of A is gone; but its end says when it was. */
	remove_line(2);

	struct history_index x = read_back();

	cr_expect_eq(x.n_damages, 1);
	cr_expect_str_eq(ask(&x, POINT, 150), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 250), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 350), "10.9.0.0");
	history_index_free(&x);

	start_anew();
	put_six();
	put((struct history_record){ .time = 500, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
	/* The change from one to the other is: what is not said by later lines is not known, and line 6 hangs on 5. */
	remove_line(4);
	remove_line(4);
	x = read_back();
	cr_expect_str_eq(ask(&x, POINT, 150), "10.0.0.0");
	cr_expect_str_eq(ask(&x, POINT, 250), "no record");
	cr_expect_str_eq(ask(&x, POINT, 350), "10.9.0.0");
	cr_expect_str_eq(ask(&x, POINT, 450), "10.9.0.0");
	history_index_free(&x);
}

Test(history_index, lines_in_another_order_or_twice_are_noticed)
{
	put_six();

	char *copy = strndup(text, size);
	struct history_index x;

	fputs(copy, out);
	fflush(out);
	free(copy);
	x = read_back();

	cr_expect_geq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 7);
	cr_expect_str_eq(ask(&x, POINT, 150), "10.0.0.0");
	history_index_free(&x);
}

static const struct {
	const char *text;
	const char *said;
} strange[] = {
	{ "", "is no record" },
	{ "{}", "is no record" },
	{ "[]", "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"fly\"}",
	  "\"fly\" is no event that this version knows" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"stop\"}", "has no checksum" },
	{ "{\"line\":1,\"time\":\"2026\",\"event\":\"stop\"}", "is no record" },
	{ "{\"line\":-1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"stop\"}", "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\",\"format\":4,\"host\":\"\",\"taken_over\":"
	  "true}",
	  "format 4 is of a later version" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"host\":\"\",\"taken_over\":true,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":1,\"taken_over\":true,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":1,\"host\":\"\",\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":1,\"host\":\"\",\"taken_over\":1,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":1,\"host\":\"\",\"taken_over\":true}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"add\",\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/"
	  "24\","
	  "\"from\":\"2026-01-01T00:00:00Z\",\"algorithm\":\"random\"}",
	  "the ports were given out by an algorithm that this version does not know" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"add\",\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/"
	  "8\","
	  "\"from\":\"2026-01-01T00:00:00Z\"}",
	  "is no record" },
};

Test(history_index, lines_that_are_no_records)
{
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		struct history_index x;

		history_index_init(&x);
		cr_assert_eq(history_index_feed(&x, strange[i].text, strlen(strange[i].text)), 0);
		cr_expect_eq(x.n_damages, 1);
		cr_expect_str_eq(x.damages[0].text, strange[i].said, "%s: %s", strange[i].text, x.damages[0].text);
		history_index_free(&x);
	}
}

Test(history_index, a_history_that_contradicts_itself_is_damaged)
{
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_change(110, EVENT_ADD, A, 110);

	struct history_index x = read_back();

	cr_expect_eq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 3);
	history_index_free(&x);

	start_anew();
	put_start(100, TIME_NONE);
	put_change(100, EVENT_DEL, A, 50);
	x = read_back();
	cr_expect_eq(x.n_damages, 1);
	history_index_free(&x);

	start_anew();
	put_start(100, TIME_NONE);
	put((struct history_record){ .time = 100, .until = 100, .event = EVENT_UNDO, .first = 1, .last = 1 });
	x = read_back();
	cr_expect_eq(x.n_damages, 1);
	history_index_free(&x);

	/* A deletion is taken back once. */
	start_anew();
	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, A, 100);
	put_change(110, EVENT_DEL, A, 100);
	put((struct history_record){ .time = 120, .until = 120, .event = EVENT_UNDO, .first = 3, .last = 3 });
	put((struct history_record){ .time = 130, .until = 130, .event = EVENT_UNDO, .first = 3, .last = 3 });
	x = read_back();
	cr_expect_eq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 5);
	history_index_free(&x);
}

Test(history_index, a_port_that_nobody_had_is_explained)
{
	static const struct {
		const char *endpoint;
		const char *said; /* NULL: somebody had it */
	} rows[] = {
		{ "1.1.1.0:1023", "ports below 1024 are never given out" },
		{ "1.1.1.0:1024", NULL },
		{ "1.1.1.0:62463", NULL },
		{ "1.1.1.0:62464",
		  "the port is one of the remainder of mapping 10.0.0.0/20 to 1.1.1.0/32, which nobody has" },
		{ "1.1.1.1:1024", "the address was in no mapping" },
		{ "1.1.1.1:1023", "ports below 1024 are never given out" },
	};

	put_start(100, TIME_NONE);
	put_change(100, EVENT_ADD, "10.0.0.0/20", "1.1.1.0/32", 100);
	put_confirm(100);

	struct history_index x = read_back();
	struct who *w;

	no_damage(&x);
	cr_assert_eq(who_new(&x, &w), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error why = { 0 };
		struct who_answer a;
		struct endpoint e;

		cr_assert_eq(endpoint_parse(rows[i].endpoint, &e), 0);
		cr_expect_eq(who_ask(w, e, 200, &a, &why), rows[i].said ? WHO_NOBODY : WHO_FOUND, "%s",
			     rows[i].endpoint);
		cr_expect_str_eq(why.text, rows[i].said ? rows[i].said : "", "%s: %s", rows[i].endpoint, why.text);
	}
	who_free(w);
	history_index_free(&x);
}

/* Its changes may have taken effect in the second after the record, and its clock was looked at once a minute. */
Test(history_index, formats_before_confirmations_leave_a_second_open)
{
	for (format = 1; format < 3; format++) {
		uint64_t of = format;

		start_anew();
		format = of;
		put_start(100, TIME_NONE);
		put_change(100, EVENT_ADD, A, 100);
		put_change(200, EVENT_DEL, A, 100);
		put_change(200, EVENT_ADD, B, 200);

		struct history_index x = read_back();

		no_damage(&x);
		cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0");
		cr_expect_str_eq(ask(&x, POINT, 200), "10.9.0.0+10.0.0.0");
		cr_expect_str_eq(ask(&x, POINT, 201), "10.9.0.0+10.0.0.0");
		cr_expect_str_eq(ask(&x, POINT, 202), "10.9.0.0");
		history_index_free(&x);
	}
}

Test(history_index, formats_before_confirmations_leave_a_minute_of_the_clock_open)
{
	static const char clock[] = "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"clock\","
				    "\"before\":\"2026-01-01T10:00:00Z\"}";
	struct history_record r;
	struct error err = { 0 };

	cr_assert_eq(history_record_read(clock, strlen(clock), &r, &err), 0, "%s", err.text);
	cr_expect_eq(r.since - r.time, 10 * 3600 + 60);
	cr_expect_eq(r.after - r.time, -60);
}

/* Line 3 of a change that is taken back, with and without damage before it. */
Test(history_index, after_damage_what_is_taken_back_was_never_there)
{
	for (unsigned damaged = 0; damaged < 2; damaged++) {
		struct history_mapping b = mapping(B, 500);

		start_anew();
		put_start(100, TIME_NONE);
		put((struct history_record){ .time = 110, .event = EVENT_STOP });
		put_change(200, EVENT_ADD, A, 200);
		put((struct history_record){ .time = 201, .until = 201, .event = EVENT_UNDO, .first = 3, .last = 3 });
		put_change(500, EVENT_ADD, B, 500);
		put_confirm(500);
		put((struct history_record){ .time = 900, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
		if (damaged)
			*strstr(line_at(2), "stop") = 'S';

		struct history_index x = read_back();

		cr_expect_eq(x.n_damages, damaged);
		cr_expect_str_eq(ask(&x, POINT, 300), damaged ? "no record" : "nobody", "%s", ask(&x, POINT, 300));
		cr_expect_str_eq(ask(&x, POINT, 499), damaged ? "no record" : "nobody");
		cr_expect_str_eq(ask(&x, POINT, 600), "10.9.0.0");
		history_index_free(&x);
	}
}

/* Agents before format 3 said nothing of what was there before. */
Test(history_index, a_first_line_with_mappings_is_no_damage)
{
	struct history_mapping a = mapping(A, 100);

	put((struct history_record){ .time = 100,
				     .event = EVENT_START,
				     .since = TIME_NONE,
				     .host = "h",
				     .taken_over = true,
				     .format = 2,
				     .mappings = &a,
				     .n_mappings = 1 });

	struct history_index x = read_back();

	no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 99), "no record");
	cr_expect_str_eq(ask(&x, POINT, 100), "10.0.0.0");
	history_index_free(&x);
}
