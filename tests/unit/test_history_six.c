/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of IPv6 subscribers in the mapping history: their lines, and whom an answer names years later. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/virtual6.h"
#include "history_fixture.h"
#include "history_text.h"

static void set_up(void)
{
	virtual6_forget();
	told_setup();
}

static void tear_down(void)
{
	told_teardown();
	virtual6_forget();
}

TestSuite(history_six, .init = set_up, .fini = tear_down);

/* A mapping whose subscribers are of 56 bits. */
static struct history_mapping six(const char *in, const char *out, int64_t from)
{
	struct history_mapping m = told_mapping("10.0.0.0/24", out, from);
	struct prefixes6 p;

	cr_assert_eq(prefixes6_parse(in, 56, &p), 0);
	cr_assert_eq(virtual6_place(&p, &m.in), 0);
	return m;
}

static void put(int64_t time, enum history_event event, struct history_mapping m)
{
	told_put((struct history_record){ .time = time, .event = event, .mapping = m });
}

/* Whom an endpoint is of, with the mapping: "2001:db8:4000::/56 in 2001:db8:4000::/48". */
static const char *ask(const struct history_index *x, const char *endpoint, int64_t t)
{
	static char said[2 * INSIDE_TEXT + 8];
	char addr[INSIDE_TEXT], in[INSIDE_TEXT];
	struct who_answer a;
	struct endpoint e;
	struct who *w;

	cr_assert_eq(endpoint_parse(endpoint, &e), 0);
	cr_assert_eq(who_new(x, &w), 0);
	snprintf(said, sizeof(said), "none");
	if (who_ask(w, e, t, &a, NULL) == WHO_FOUND)
		snprintf(said, sizeof(said), "%s in %s", inside_text(a.best.in_addr, addr),
			 inside_prefix_text(a.best.in, in));
	who_free(w);
	return said;
}

Test(history_six, a_line_has_the_prefix_and_the_virtual_addresses)
{
	put(100, EVENT_ADD, six("2001:db8:4000::/48", "1.1.1.0/28", 100));
	cr_expect(strstr(told.text,
			 "\"event\":\"add\",\"in\":\"2001:db8:4000::/48\",\"subscriber_plen\":56,\"virtual\":"
			 "\"224.64.0.0\",\"out\":\"1.1.1.0/28\","),
		  "%s", told.text);
	cr_expect(strstr(told.text, "\"algorithm\":\"nat64\""), "%s", told.text);
}

Test(history_six, a_start_says_the_format_only_where_there_are_such)
{
	struct history_mapping list[] = { told_mapping(A, 0), six("2001:db8:4000::/48", "1.1.2.0/28", 0) };
	struct history_record r = {
		.event = EVENT_START, .since = TIME_NONE, .host = "h", .mappings = list, .n_mappings = 1
	};

	told_put(r);
	cr_expect(strstr(told.text, "\"format\":3,"), "%s", told.text);
	told_start_anew();
	r.n_mappings = 2;
	told_put(r);
	cr_expect(strstr(told.text, "\"format\":8,"), "%s", told.text);
	cr_expect(strstr(told.text, "\"algorithm\":\"nat64\""), "%s", told.text);
	told_start_anew();
	r.days = true;
	told_put(r);
	cr_expect(strstr(told.text, "\"format\":8,"), "%s", told.text);
}

Test(history_six, an_answer_names_the_prefix_on_any_machine)
{
	struct history_index x;

	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, six("2001:db8:4000::/48", "1.1.1.0/28", 100));
	put(100, EVENT_ADD, six("2001:db8:4000:1000::/56", "1.1.3.0/32", 100));
	told_put_confirm(100);
	put(200, EVENT_DEL, six("2001:db8:4000::/48", "1.1.1.0/28", 100));
	put(200, EVENT_ADD, six("2001:db8:5000::/48", "1.1.1.0/28", 200));
	told_put_confirm(200);
	/* Another process, which knows nothing of what these virtual addresses mean, or has other ones there. */
	for (unsigned other = 0; other < 2; other++) {
		struct prefixes6 p;

		virtual6_forget();
		cr_assert_eq(prefixes6_parse("2001:db8:ffff::/48", 60, &p), 0);
		if (other)
			cr_assert_eq(virtual6_claim(&p, VIRTUAL_BASE + 0x400000), 0);
		x = told_read_back();
		told_no_damage(&x);
		cr_expect_str_eq(ask(&x, "1.1.1.0:1024", 150), "2001:db8:4000::/56 in 2001:db8:4000::/48");
		cr_expect_str_eq(ask(&x, "1.1.1.15:65535", 150), "2001:db8:4000:ff00::/56 in 2001:db8:4000::/48");
		/* The smaller prefix has it. */
		cr_expect_str_eq(ask(&x, "1.1.1.1:1024", 150), "none");
		cr_expect_str_eq(ask(&x, "1.1.3.0:40000", 150), "2001:db8:4000:1000::/56 in 2001:db8:4000:1000::/56");
		cr_expect_str_eq(ask(&x, "1.1.1.0:1024", 250), "2001:db8:5000::/56 in 2001:db8:5000::/48");
		history_index_free(&x);
	}
}

/* Where these are free in the process that reads it, as the tables have them, too. */
Test(history_six, a_line_is_read_at_its_own_virtual_addresses)
{
	const struct prefixes6 own = prefixes6_of(0x20010db840000000, 48, 56);
	const uint32_t base = VIRTUAL_BASE + 0x700;
	struct history_index x;

	told_put_start(100, TIME_NONE);
	cr_assert_eq(virtual6_claim(&own, base), 0);
	put(100, EVENT_ADD, six("2001:db8:4000::/48", "1.1.1.0/28", 100));
	told_put_confirm(100);
	virtual6_forget();
	x = told_read_back();
	told_no_damage(&x);
	cr_assert_eq(x.mappings.n, 1);
	cr_expect_eq(x.mappings.interval[0].mapping.in.base, base);
	history_index_free(&x);
}

Test(history_six, a_malformed_line_is_damage)
{
	static const char *const wrong[][2] = {
		{ "\"subscriber_plen\":56", "\"subscriber_plen\":47" },
		{ "\"subscriber_plen\":56", "\"subscriber_pl\":56" },
		{ "\"virtual\":\"224", "\"virtual\":\"10" },
		{ "4000::/48", "4000::/57" },
		{ "\"virtual\":\"224.64.0.0\"", "\"virtual\":null" },
	};

	put(100, EVENT_ADD, six("2001:db8:4000::/48", "1.1.1.0/28", 100));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_free_ char *line = calloc(1, told.size + 32);
		const char *at = strstr(told.text, wrong[i][0]);
		struct history_record r;
		struct error err;

		cr_assert(at);
		sprintf(line, "%.*s%s%s", (int)(at - told.text), told.text, wrong[i][1], at + strlen(wrong[i][0]));
		cr_expect_neq(history_record_read(line, strcspn(line, "\n"), &r, &err), 0, "%s", wrong[i][1]);
	}
}

/* The index beside the history has the virtual addresses, and is not used where they mean something else. */
Test(history_cache_six, is_used_where_its_virtual_addresses_are_free, .init = lab_setup, .fini = lab_teardown)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/28");
	struct prefixes6 p, other;
	struct error err = { 0 };

	virtual6_forget();
	cr_assert_eq(prefixes6_parse("2001:db8:4000::/48", 56, &p), 0);
	cr_assert_eq(prefixes6_parse("2001:db8:5000::/48", 56, &other), 0);
	cr_assert_eq(virtual6_place(&p, &m.in), 0);
	cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	for (unsigned conflict = 0; conflict < 2; conflict++) {
		int dir = open(lab.state, O_RDONLY | O_DIRECTORY), fd = openat(dir, HISTORY_FILE, O_RDONLY), cache = -1;
		char in[INSIDE_TEXT];
		struct history_files f;
		struct history_index x;
		size_t used = 0;

		if (!conflict) {
			virtual6_forget();
			cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
			cr_assert_eq(history_cache_write(dir, fd, f.size, &f.index, &cache), 0);
			history_files_free(&f);
		}
		virtual6_forget();
		if (conflict)
			cr_assert_eq(virtual6_claim(&other, m.in.base), 0);
		cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
		cr_expect_eq(f.index.mappings.n, 1);
		cr_expect_str_eq(inside_prefix_text(f.index.mappings.interval[0].mapping.in, in), "2001:db8:4000::/48");
		virtual6_forget();
		if (conflict)
			cr_assert_eq(virtual6_claim(&other, m.in.base), 0);
		cr_expect_eq(!history_cache_read(dir, f.text, f.size, &x, &used), !conflict);
		if (!conflict) {
			cr_expect_str_eq(inside_prefix_text(x.mappings.interval[0].mapping.in, in),
					 "2001:db8:4000::/48");
			history_index_free(&x);
		}
		history_files_free(&f);
		close(fd);
		close(dir);
	}
	virtual6_forget();
}
