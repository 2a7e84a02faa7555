// SPDX-License-Identifier: BSD-2-Clause
/* detnat-desk: questions in complaints, users' names, buffers, paths, samples. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/timestamp.h"
#include "pages.h"
#include "questions.h"
#include "samples.h"

/* The answer as a text: "TIME ADDR:PORT", or the beginning of the problem, or "" for a line that is passed over. */
static const char *read_as(const char *text)
{
	static char answer[128];
	_cleanup_questions_ struct questions q = {};
	char when[TIME_TEXT], addr[ADDR_TEXT];

	cr_assert_eq(questions_find(text, strlen(text), &q), 0);
	answer[0] = '\0';
	if (q.n)
		snprintf(answer, sizeof(answer), "%s %s:%u", time_format(q.of[0].time, when),
			 addr_format(q.of[0].out.addr, addr), q.of[0].out.port);
	else if (q.n_problems)
		snprintf(answer, sizeof(answer), "%s", question_problem_text(q.problems[0].why));
	*(strchr(answer, ':') && !q.n ? strchr(answer, ':') : answer + sizeof(answer) - 1) = '\0';
	return answer;
}

Test(desk, questions_are_found_in_any_words)
{
	static const char *const rows[][2] = {
		{ "2026-01-31T14:05:00Z 1.1.1.1:1276", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31T14:05:00+01:00", "2026-01-31T13:05:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 +0100", "2026-01-31T13:05:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00.123456-05:30", "2026-01-31T19:35:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 utc", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31t14:05:00z", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "[2026-01-31 14:05:00 GMT] from <1.1.1.1:1276>.", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "SRC=1.1.1.1:1276, at 2026-01-31T14:05:00Z\r", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "host 1.1.1.1:1276: 2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "first 1.1.1.1:1276 then 2.2.2.2:5 2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z 1.1.1.1:1276" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00", "no time zone" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 CET", "no time zone" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 Zone", "no time zone" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 +1", "no time zone" },
		{ "1.1.1.1:1276 2026-01-31 14:05:00 +01000", "no time zone" },
		{ "1.1.1.1:1276 at noon", "no time" },
		{ "1.1.1.1:1276 2026-01-31", "no time" },
		{ "1.1.1.1:1276 2026-02-30T14:05:00Z", "no such time" },
		{ "1.1.1.1:1276 2026-01-31T25:05:00Z", "no such time" },
		{ "2026-01-31T14:05:00Z 1.1.1.1", "" },
		{ "2026-01-31T14:05:00Z 1.1.1.1:99999", "" },
		{ "2026-01-31T14:05:00Z 1.1.1.256:5", "" },
		{ "2026-01-31T14:05:00Z 1.1.1.1.1:5", "" },
		{ "2026-01-31T14:05:00Z x1.1.1.1:5", "" },
		{ "Dear abuse team,", "" },
		{ "", "" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_str_eq(read_as(rows[i][0]), rows[i][1], "%s: %s", rows[i][0], read_as(rows[i][0]));
}

Test(desk, a_text_that_ends_anywhere_is_not_read_beyond)
{
	static const char text[] = "1.1.1.1:1276 2026-01-31 14:05:00.123 +01:00\n";

	for (size_t size = 0; size < sizeof(text); size++) {
		_cleanup_questions_ struct questions q = {};
		char *copy = malloc(size + !size);

		memcpy(copy, text, size);
		cr_assert_eq(questions_find(copy, size, &q), 0);
		cr_expect_eq(q.n, size >= sizeof(text) - 2, "%zu", size);
		free(copy);
	}
}

Test(desk, user_names_have_no_letters_of_shells_or_html)
{
	static const char *const good[] = { "lea", "l", "lea@example.net", "first.last", "a_b-c+d", "0" };
	static const char *const bad[] = { "", "-rf", "a b", "<b>", "a\"b", "a/b", "a\nb", "a:b", "\xc3\xa9" };
	char name[USER_NAME_MAX + 2] = {};

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(user_name_valid(good[i]), "%s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(user_name_valid(bad[i]), "%s", bad[i]);
	memset(name, 'a', USER_NAME_MAX + 1);
	cr_expect_not(user_name_valid(name));
	name[USER_NAME_MAX] = '\0';
	cr_expect(user_name_valid(name));
}

Test(desk, a_buffer_keeps_what_it_has_at_its_limit)
{
	_cleanup_buffer_ struct buffer b = {};

	cr_expect_eq(buffer_add(&b, "abc", 3, 5), 0);
	cr_expect_eq(buffer_add(&b, "def", 3, 5), -E2BIG);
	cr_expect_eq(buffer_add(&b, "", (size_t)-1, 5), -E2BIG);
	cr_expect_eq(buffer_add(&b, "de", 2, 5), 0);
	cr_expect_eq(b.size, 5);
	cr_expect_arr_eq(b.data, "abcde", 5);
}

Test(desk, paths_take_addresses_alone)
{
	static const char *const good[] = { "/", "/state", "/subscriber/10.0.0.2", "/api/explain/10.0.0.2",
					    "/api/pools/1.1.1.0/30" };
	static const char *const bad[] = { "",
					   "/State",
					   "/state/",
					   "/subscriber/",
					   "/subscriber/-h",
					   "/api/explain/",
					   "/api/",
					   "/api/explain/10.0.0.2/",
					   "/api/pools/all",
					   "/api/reload" };
	const char *rest;

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(route_find(good[i], &rest), "%s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(route_find(bad[i], &rest), "%s", bad[i]);
}

static bool sample_of(const char *status, const char *stats, struct sample *ret)
{
	return sample_read(status, strlen(status), stats, strlen(stats), ret);
}

Test(desk, a_sample_sums_the_counters_of_its_kinds)
{
	struct sample s = { .time = 7 };

	cr_assert(sample_of("{\"sessions\":5}",
			    "{\"counters\":{\"in2out_translated\":1,\"out2in_translated\":2,\"passed_untranslated\":64,"
			    "\"drop_quota\":4,\"drop_ports_exhausted\":8,\"drop_ttl\":16,\"sessions_opened\":32}}",
			    &s));
	cr_expect(s.valid && s.time == 7 && s.sessions == 5 && s.opened == 32);
	cr_expect_eq(s.translated, 3);
	cr_expect_eq(s.refused, 12);
	cr_expect_eq(s.dropped, 16);
}

Test(desk, an_answer_without_the_figures_is_no_sample)
{
	static const char *const bad[] = {
		"", "{", "[]", "null", "{\"sessions\":\"5\"}", "{\"sessions\":-5}", "{\"sessions\":1e300}"
	};
	struct sample s = { .time = 7 };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(sample_of(bad[i], "{\"counters\":{\"sessions_opened\":1}}", &s), "%s", bad[i]);
	cr_expect_not(sample_of("{\"sessions\":5}", "{\"counters\":{}}", &s));
	cr_expect_not(s.valid);
}

Test(desk, a_day_of_samples_is_kept_and_no_more)
{
	_cleanup_buffer_ struct buffer b = {};
	size_t n = 0;

	for (unsigned i = 0; i < SAMPLES_MAX + 10; i++)
		samples_add((struct sample){ .time = i, .valid = i % 2 });
	cr_assert_eq(samples_write(&b), 0);
	for (const char *at = b.data; (at = strstr(at, "\"time\"")); at++)
		n++;
	cr_expect_eq(n, SAMPLES_MAX);
	cr_expect(strstr(b.data, "\"samples\":[{\"time\":\"1970-01-01T00:00:10Z\",\"sessions\":null"));
}
