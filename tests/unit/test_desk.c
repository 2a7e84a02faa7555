// SPDX-License-Identifier: BSD-2-Clause
/* detnat-desk: what the page sends, users' names, buffers, paths, samples. */
#include <criterion/criterion.h>
#include <string.h>

#include "forms.h"
#include "pages.h"
#include "samples.h"

Test(desk, zones_have_no_letters_of_options_or_paths_that_lead_up)
{
	static const char *const good[] = { "UTC",	"+01:00",	 "-0530",
					    "CET",	"Europe/Berlin", "America/Port-au-Prince",
					    "Etc/GMT+1" };
	static const char *const bad[] = { "", "a b", "../../etc/passwd", "a.b", "UTC\n", "<b>", "\"", "\xc3\xa9" };
	char zone[65] = {};

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(form_zone_valid(good[i]), "%s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(form_zone_valid(bad[i]), "%s", bad[i]);
	memset(zone, 'a', 64);
	cr_expect_not(form_zone_valid(zone));
	zone[63] = '\0';
	cr_expect(form_zone_valid(zone));
}

Test(desk, lines_of_blanks_do_not_count)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = { { "", 0 }, { "\n\n", 0 }, { " \t\r\n", 0 }, { "a", 1 }, { "a\n", 1 }, { "a b\n\n c\r\nd", 3 } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(form_lines(rows[i].text, strlen(rows[i].text)), rows[i].n, "%s", rows[i].text);
	cr_expect_eq(form_lines("\0\n\0", 3), 2);
}

Test(desk, evidence_is_asked_by_a_case_a_time_with_its_zone_and_an_endpoint)
{
	static const char *const good[] = { "2026-17 2026-01-31T14:05:00Z 1.1.1.1:1276",
					    " a\t2026-01-31T14:05:00+01:00  1.1.1.1:0 \r\n" };
	static const char *const bad[] = { "",
					   "2026-17",
					   "a 2026-01-31T14:05:00Z",
					   "a 2026-01-31T14:05:00Z 1.1.1.1",
					   "a 2026-01-31T14:05:00 1.1.1.1:1",
					   "a 2026-01-31 1.1.1.1:1",
					   "a 2026-02-31T14:05:00Z 1.1.1.1:1",
					   "--key 2026-01-31T14:05:00Z 1.1.1.1:1",
					   ".a 2026-01-31T14:05:00Z 1.1.1.1:1",
					   "../a 2026-01-31T14:05:00Z 1.1.1.1:1",
					   "a/b 2026-01-31T14:05:00Z 1.1.1.1:1",
					   "a\nb 2026-01-31T14:05:00Z 1.1.1.1:1",
					   "a 2026-01-31T14:05:00Z 1.1.1.1:1 --key",
					   "a 2026-01-31T14:05:00Z 1.1.1.1:1\nb 2026-01-31T14:05:00Z 1.1.1.1:1" };
	struct form_evidence e;

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(form_evidence_read(good[i], strlen(good[i]), &e), "%s", good[i]);
	cr_expect_str_eq(e.name, "a");
	cr_expect_str_eq(e.at, "2026-01-31T14:05:00+01:00");
	cr_expect_str_eq(e.endpoint, "1.1.1.1:0");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(form_evidence_read(bad[i], strlen(bad[i]), &e), "%s", bad[i]);
	cr_expect_not(form_evidence_read("a\0 2026-01-31T14:05:00Z 1.1.1.1:1", 33, &e));
}

Test(desk, an_evidence_line_that_ends_anywhere_is_not_read_beyond)
{
	static const char text[] = "case-1 2026-01-31T14:05:00Z 1.1.1.1:1276";
	struct form_evidence e;

	for (size_t size = 0; size < sizeof(text); size++) {
		char *copy = malloc(size + !size);

		memcpy(copy, text, size);
		cr_expect_eq(form_evidence_read(copy, size, &e), size >= sizeof(text) - 4, "%zu", size);
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
	static const char *const good[] = { "/",
					    "/state",
					    "/subscriber/10.0.0.2",
					    "/api/explain/10.0.0.2",
					    "/api/pools/1.1.1.0/30",
					    "/subscriber/10.0.0.2/ispA",
					    "/api/explain/10.0.0.2/ispA",
					    "/subscriber/2001:db8:4000:1200::",
					    "/api/subscriber/2001:db8::1/ispA" };
	static const char *const bad[] = { "",
					   "/State",
					   "/state/",
					   "/subscriber/",
					   "/subscriber/-h",
					   "/api/explain/",
					   "/api/",
					   "/api/explain/10.0.0.2/",
					   "/api/explain/10.0.0.2/-h",
					   "/api/explain/10.0.0.2/a/b",
					   "/api/explain/10.0.0.2/a b",
					   "/api/explain/10.0.0.2.10.0.0.2.10.0.0.2/a",
					   "/subscriber/::g",
					   "/subscriber/2001:db8::/",
					   "/subscriber/2001:db8::/56/a",
					   "/subscriber/:: -h",
					   "/subscriber/::%eth0",
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
			    "\"drop_quota\":4,\"drop_ports_exhausted\":8,\"drop_ttl\":16,\"sessions_opened\":32},"
			    "\"octets\":{\"in2out_octets\":100,\"out2in_octets\":28}}",
			    &s));
	cr_expect(s.valid && s.time == 7 && s.sessions == 5 && s.opened == 32);
	cr_expect_eq(s.translated, 3);
	cr_expect_eq(s.octets, 128);
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
