/* SPDX-License-Identifier: BSD-2-Clause */
/* Histories as text: what is noticed of damage, what is still answered then, and other formats. */
#include <criterion/criterion.h>

#include <string.h>

#include "history_text.h"

TestSuite(history_damage, .init = told_setup, .fini = told_teardown);

/* Six lines: start, add A, daily, del A, add B, daily. */
static void put_six(void)
{
	struct history_mapping a = told_mapping(A, 100), b = told_mapping(B, 300);

	told.format = 3;
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put((struct history_record){ .time = 200, .event = EVENT_DAILY, .mappings = &a, .n_mappings = 1 });
	told_put_change(300, EVENT_DEL, A, 100);
	told_put_change(300, EVENT_ADD, B, 300);
	told_put((struct history_record){ .time = 400, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
}

static char *line_at(unsigned number)
{
	char *at = told.text;

	while (--number)
		at = strchr(at, '\n') + 1;
	return at;
}

static void remove_line(unsigned number)
{
	char *at = line_at(number), *next = strchr(at, '\n') + 1;

	told.size -= (size_t)(next - at);
	memmove(at, next, told.size - (size_t)(at - told.text));
}

Test(history_damage, any_octet_changed_is_noticed_at_its_line)
{
	put_six();

	size_t number = 1;

	for (size_t i = 0; i < told.size; i++) {
		struct history_index x;
		char was = told.text[i];

		if (was == '\n') {
			number++;
			continue;
		}
		told.text[i] = was == '0' ? '1' : '0';
		x = told_read_back();
		cr_assert_eq(x.n_damages ? x.damages[0].line : 0, number, "octet %zu", i);
		cr_assert_leq(x.n_damages, 2);
		history_index_free(&x);
		told.text[i] = was;
	}
}

Test(history_damage, any_line_removed_is_noticed_at_its_place)
{
	for (unsigned number = 1; number < 6; number++) {
		struct history_index x;

		told_start_anew();
		put_six();
		remove_line(number);
		x = told_read_back();
		cr_expect_geq(x.n_damages, 1);
		cr_expect_eq(x.damages[0].line, number, "line %u", number);
		cr_expect(strstr(x.damages[0].text, "missing"), "%s", x.damages[0].text);
		history_index_free(&x);
	}
}

Test(history_damage, after_damage_later_lines_still_answer)
{
	struct history_mapping b = told_mapping(B, 300);

	put_six();
	/* The beginning of A is gone; but its end says when it was. */
	remove_line(2);

	struct history_index x = told_read_back();

	cr_expect_eq(x.n_damages, 1);
	cr_expect_str_eq(told_ask(&x, POINT, 150), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 250), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 350), "10.9.0.0");
	history_index_free(&x);

	told_start_anew();
	put_six();
	told_put((struct history_record){ .time = 500, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
	/* The change from one to the other is: what is not said by later lines is not known, and line 6 hangs on 5. */
	remove_line(4);
	remove_line(4);
	x = told_read_back();
	cr_expect_str_eq(told_ask(&x, POINT, 150), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 250), "no record");
	cr_expect_str_eq(told_ask(&x, POINT, 350), "10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 450), "10.9.0.0");
	history_index_free(&x);
}

Test(history_damage, lines_in_another_order_or_twice_are_noticed)
{
	put_six();

	char *copy = strndup(told.text, told.size);
	struct history_index x;

	fputs(copy, told.out);
	fflush(told.out);
	free(copy);
	x = told_read_back();

	cr_expect_geq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 7);
	cr_expect_str_eq(told_ask(&x, POINT, 150), "10.0.0.0");
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
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\",\"format\":9,\"host\":\"\",\"taken_over\":"
	  "true}",
	  "format 9 is of a later version" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\",\"format\":2,\"host\":\"\",\"taken_over\":"
	  "true,\"mappings\":[]}",
	  "format 2 is of a version before 1.0.0" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"host\":\"\",\"taken_over\":true,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":3,\"taken_over\":true,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":3,\"host\":\"\",\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":3,\"host\":\"\",\"taken_over\":1,\"mappings\":[]}",
	  "is no record" },
	{ "{\"line\":1,\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\","
	  "\"format\":3,\"host\":\"\",\"taken_over\":true}",
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

Test(history_damage, lines_that_are_no_records)
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

Test(history_damage, a_history_that_contradicts_itself_is_damaged)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_change(110, EVENT_ADD, A, 110);

	struct history_index x = told_read_back();

	cr_expect_eq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 3);
	history_index_free(&x);

	told_start_anew();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_DEL, A, 50);
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	history_index_free(&x);

	told_start_anew();
	told_put_start(100, TIME_NONE);
	told_put((struct history_record){ .time = 100, .until = 100, .event = EVENT_UNDO, .first = 1, .last = 1 });
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	history_index_free(&x);

	/* A deletion is taken back once. */
	told_start_anew();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_change(110, EVENT_DEL, A, 100);
	told_put((struct history_record){ .time = 120, .until = 120, .event = EVENT_UNDO, .first = 3, .last = 3 });
	told_put((struct history_record){ .time = 130, .until = 130, .event = EVENT_UNDO, .first = 3, .last = 3 });
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	cr_expect_eq(x.damages[0].line, 5);
	history_index_free(&x);
}

Test(history_damage, a_port_that_nobody_had_is_explained)
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

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, "10.0.0.0/20", "1.1.1.0/32", 100);
	told_put_confirm(100);

	struct history_index x = told_read_back();
	struct who *w;

	told_no_damage(&x);
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

/* Line 3 of a change that is taken back, with and without damage before it. */
Test(history_damage, after_damage_what_is_taken_back_was_never_there)
{
	for (unsigned damaged = 0; damaged < 2; damaged++) {
		struct history_mapping b = told_mapping(B, 500);

		told_start_anew();
		told_put_start(100, TIME_NONE);
		told_put((struct history_record){ .time = 110, .event = EVENT_STOP });
		told_put_change(200, EVENT_ADD, A, 200);
		told_put((struct history_record){
			.time = 201, .until = 201, .event = EVENT_UNDO, .first = 3, .last = 3 });
		told_put_change(500, EVENT_ADD, B, 500);
		told_put_confirm(500);
		told_put((struct history_record){ .time = 900, .event = EVENT_DAILY, .mappings = &b, .n_mappings = 1 });
		if (damaged)
			*strstr(line_at(2), "stop") = 'S';

		struct history_index x = told_read_back();

		cr_expect_eq(x.n_damages, damaged);
		cr_expect_str_eq(told_ask(&x, POINT, 300), damaged ? "no record" : "nobody", "%s",
				 told_ask(&x, POINT, 300));
		cr_expect_str_eq(told_ask(&x, POINT, 499), damaged ? "no record" : "nobody");
		cr_expect_str_eq(told_ask(&x, POINT, 600), "10.9.0.0");
		history_index_free(&x);
	}
}

/* The first agent of all finds nothing that was there before. */
Test(history_damage, a_first_line_with_mappings_is_no_damage)
{
	struct history_mapping a = told_mapping(A, 100);

	told_put((struct history_record){ .time = 100,
					  .event = EVENT_START,
					  .since = TIME_NONE,
					  .host = "h",
					  .taken_over = true,
					  .format = 3,
					  .mappings = &a,
					  .n_mappings = 1 });

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 99), "no record");
	cr_expect_str_eq(told_ask(&x, POINT, 100), "10.0.0.0");
	history_index_free(&x);
}
