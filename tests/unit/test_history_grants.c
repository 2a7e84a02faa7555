/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants in the mapping history: groups of them, their ends, and lists of many. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include "history/history_who.h"
#include "recorder/history_private.h"
#include "history_fixture.h"
#include "history_text.h"

#define DAY 86400

TestSuite(history_grants, .init = lab_setup, .fini = lab_teardown);

/* 10.0.0.0/24 on one address has blocks of 252 ports from 1024 on; none of them is below. */
static struct history_grant grant(uint32_t host, uint16_t port_lo)
{
	return (struct history_grant){
		.in = 0x0a000000 + host, .out = 0x01010100, .port_lo = port_lo, .ports = 64, .from = TIME_NONE
	};
}

static int change(struct history_grant *end, size_t n_end, struct history_grant *begin, size_t n_begin)
{
	const struct history_change c = { .del[FACT_GRANT] = { end, n_end }, .add[FACT_GRANT] = { begin, n_begin } };
	struct error err = { 0 };

	return history_change(lab.history, &c, &err);
}

static size_t open_grants(struct history_grant **ret)
{
	struct history_files f;
	struct error err = { 0 };
	size_t n;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.index.n_damages, 0, "%s", f.index.damages[0].text);
	cr_assert_eq(history_facts_list(FACT_GRANT, &f.index.grants.facts, ret, &n), 0);
	history_files_free(&f);
	return n;
}

Test(history_grants, a_group_is_written_before_it_takes_effect_and_confirmed_once)
{
	struct history_grant group[] = { grant(1, 512), grant(2, 576) };
	struct history_grant *list, one;

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	lab.now += 10;
	cr_assert_eq(change(NULL, 0, group, 2), 0);
	cr_assert(history_waits(lab.history));
	cr_expect_eq(group[0].from, NOON + 10, "the time of the record is that of the grant");
	lab_confirm();
	lab.now += 10;
	one = grant(1, 512);
	cr_assert_eq(change(&one, 1, NULL, 0), 0);
	lab_confirm();
	cr_assert_eq(change(&one, 1, &group[1], 1), 0, "what has ended or begun already is left out");
	cr_expect_eq(group[1].from, NOON + 10);
	cr_assert_str_eq(lab_events(), "start add confirm grant grant confirm grant confirm", "%s", lab_events());
	cr_assert_eq(open_grants(&list), 1);
	cr_assert(history_facts_same(FACT_GRANT, list, &group[1]) && list->from == NOON + 10);
	free(list);
}

Test(history_grants, what_did_not_take_effect_is_taken_back)
{
	struct history_grant group[] = { grant(1, 512), grant(2, 576), grant(3, 640) }, *list;
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(change(NULL, 0, group, 1), 0);
	lab_confirm();
	lab.now += 10;
	cr_assert_eq(change(&group[0], 1, &group[1], 2), 0);
	/* Only the last one has come, and the first one is still there. */
	group[1] = group[2];
	cr_assert_eq(history_present(lab.history, FACT_GRANT, group, 2), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0);
	cr_assert_str_eq(lab_events(), "start add confirm grant confirm grant grant grant undo undo", "%s",
			 lab_events());
	cr_assert_eq(open_grants(&list), 2);
	cr_expect(history_facts_same(FACT_GRANT, &list[0], &group[0]) &&
		  history_facts_same(FACT_GRANT, &list[1], &group[2]));
	cr_expect(history_holds(lab.history, FACT_GRANT, group, 2, &err), "%s", err.text);
	cr_expect(!history_holds(lab.history, FACT_GRANT, group, 1, &err));
	cr_expect_str_eq(err.text, "the grant of 1.1.1.0:640-703 to 10.0.0.3 is in the history, and not in the tables",
			 "%s", err.text);
	free(list);
}

Test(history_grants, with_their_mapping_grants_end_and_its_return_brings_them_back)
{
	struct history_grant group[] = { grant(1, 512), grant(2, 576) }, *list;
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(change(NULL, 0, group, 2), 0);
	lab_confirm();
	cr_assert_eq(lab_change(lab.history, &m, 1, NULL, 0, &lab_no_portmaps, NULL, &err), 0);
	cr_expect_eq(open_grants(&list), 0);
	free(list);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, group, 2), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0);
	cr_assert_str_eq(lab_events(), "start add confirm grant grant confirm del undo", "%s", lab_events());
	cr_expect_eq(open_grants(&list), 2);
	free(list);
}

/* The same prefixes with blocks of 200 ports from 2048 on, so that the shared range is from 1024 on. */
static struct history_mapping smaller(uint16_t ports)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");

	m.blocks = (struct plan_blocks){ .ratio = 256, .first_port = 2048, .pitch = ports, .ports_per_host = ports };
	return m;
}

static int replace(struct history_mapping del, struct history_mapping add)
{
	struct error err = { 0 };

	return lab_change(lab.history, &del, 1, &add, 1, &lab_no_portmaps, NULL, &err);
}

/* The holder of an endpoint at a time; 0: nobody. */
static uint32_t holder(uint16_t port, int64_t t)
{
	struct history_files f;
	struct error err = { 0 };
	struct who_answer a = { 0 };
	struct who *w;
	bool found;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(who_new(&f.index, &w), 0);
	found = who_ask(w, (struct endpoint){ 0x01010100, port }, t, &a, &err) == WHO_FOUND && !a.other;
	who_free(w);
	history_files_free(&f);
	return found ? a.best.in_addr : 0;
}

Test(history_grants, those_that_a_mapping_with_other_blocks_still_has_go_on_in_its_change)
{
	/* Of the last one, the new blocks take ports. */
	struct history_grant group[] = { grant(1, 1024), grant(2, 1088), grant(3, 63040) }, *list;

	cr_assert_eq(replace(lab_mapping("10.0.0.0/24", "1.1.1.0/32"), smaller(200)), 0);
	lab_confirm();
	cr_assert_eq(change(NULL, 0, group, 3), 0);
	lab_confirm();
	lab.now += 10;
	cr_assert_eq(replace(smaller(200), smaller(248)), 0);
	lab_confirm();
	cr_assert_str_eq(lab_events(), "start add confirm grant grant grant confirm del add grant grant confirm", "%s",
			 lab_events());
	cr_assert_eq(open_grants(&list), 2);
	cr_expect(history_facts_same(FACT_GRANT, &list[0], &group[0]) &&
		  history_facts_same(FACT_GRANT, &list[1], &group[1]));
	free(list);
	lab.now += 10;
	for (int64_t t = NOON + 1; t < NOON + 20; t++)
		cr_expect_eq(holder(1090, t), 0x0a000002, "%ld", (long)(t - NOON));
}

Test(history_grants, a_change_of_blocks_that_failed_leaves_each_grant_once)
{
	struct history_grant group[] = { grant(1, 1024), grant(2, 1088) }, *list;
	struct history_mapping m = smaller(200);
	struct error err = { 0 };

	cr_assert_eq(replace(lab_mapping("10.0.0.0/24", "1.1.1.0/32"), m), 0);
	lab_confirm();
	cr_assert_eq(change(NULL, 0, group, 2), 0);
	lab_confirm();
	cr_assert_eq(replace(m, smaller(240)), 0);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, group, 2), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0);
	cr_assert_str_eq(lab_events(), "start add confirm grant grant confirm del add grant grant undo undo undo undo",
			 "%s", lab_events());
	cr_assert_eq(open_grants(&list), 2);
	free(list);
	cr_expect(history_holds(lab.history, FACT_GRANT, group, 2, &err), "%s", err.text);
}

Test(history_grants, the_end_of_a_mapping_that_took_effect_is_not_taken_back_for_a_grant)
{
	struct history_grant group[] = { grant(1, 1024) }, *list;
	struct history_mapping m = smaller(200), other = lab_mapping("10.9.0.0/24", "1.1.1.0/32");
	struct error err = { 0 };

	cr_assert_eq(replace(lab_mapping("10.0.0.0/24", "1.1.1.0/32"), m), 0);
	lab_confirm();
	cr_assert_eq(change(NULL, 0, group, 1), 0);
	lab_confirm();
	lab.now += 10;
	cr_assert_eq(replace(m, other), 0);
	/* The tables say so for a moment, as where it is closed later. */
	cr_assert_eq(history_present(lab.history, FACT_GRANT, group, 1), 0);
	cr_assert_eq(history_reconcile(lab.history, &other, 1, lab_clock().steady_ns, &err), 0);
	cr_assert_str_eq(lab_events(), "start add confirm grant confirm del add grant confirm", "%s", lab_events());
	cr_assert_eq(open_grants(&list), 1);
	free(list);
}

Test(history_grants, a_list_has_them_in_lines_of_limited_length)
{
	enum { MANY = 2 * GRANTS_OF_LINE + 1 };
	struct history_grant many[MANY], *list;
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = grant(i % 256, (uint16_t)(1024 + 8 * i));
		many[i].ports = 8;
	}
	cr_assert_eq(change(NULL, 0, many, MANY), 0);
	lab_confirm();
	lab.now += DAY;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	cr_assert(strstr(lab_events(), "grant confirm grants grants grants daily"), "%s", lab_events());
	cr_assert_eq(open_grants(&list), MANY);
	for (unsigned i = 0; i < MANY; i++)
		cr_assert(history_facts_same(FACT_GRANT, &list[i], &many[i]) && list[i].from == NOON);
	free(list);
}

/* ---- Lists that are not whole, and lines that are lost */

/* The file without what follows the n-th line with an event. */
static void cut_behind(const char *event, unsigned n)
{
	char path[96], *line = NULL;
	size_t room = 0;
	ssize_t size;
	off_t at = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	f = fopen(path, "re");
	cr_assert(f);
	while (n && (size = getline(&line, &room, f)) > 0) {
		at += size;
		n -= strstr(line, event) != NULL;
	}
	cr_assert_eq(n, 0);
	fclose(f);
	free(line);
	cr_assert_eq(truncate(path, at), 0);
}

/* The next agent finds a datapath with a mapping and grants. */
static void begin_again(const struct history_grant *list, size_t n)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");
	struct error err = { 0 };

	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, list, n), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}

Test(history_grants, a_list_that_was_cut_short_says_nothing)
{
	enum { MANY = GRANTS_OF_LINE + 1 };
	struct history_grant many[MANY], *list;
	struct history_files f;
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	for (unsigned i = 0; i < MANY; i++)
		many[i] = grant(i % 256, (uint16_t)(2048 + 64 * i));
	cr_assert_eq(change(NULL, 0, many, MANY), 0);
	lab_confirm();
	lab.now += DAY;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	history_close(lab.history);
	/* The agent was killed during the write: only the first line of the list is there. */
	cut_behind("\"event\":\"grants\"", 1);
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	cr_expect_eq(f.index.n_damages, 0);
	cr_expect_eq(f.index.grants.n_open, MANY);
	cr_expect_eq(f.index.last_time, NOON, "the line is nothing by itself");
	history_files_free(&f);
	begin_again(many, MANY);
	cr_expect(strstr(lab_events(), "grants grants grants start"), "%s", lab_events());
	cr_assert_eq(open_grants(&list), MANY);
	free(list);
}

static struct history_record lost_grant(int64_t time, bool ends)
{
	struct history_record r = { .time = time, .event = EVENT_GRANT, .grant = grant(1, 512), .ends = ends };

	r.grant.from = 200;
	return r;
}

/* Writes a line of which the file has lost all. */
static void put_lost(struct history_record r)
{
	size_t size = told.size;

	told_put(r);
	cr_assert_eq(fseek(told.out, (long)size, SEEK_SET), 0);
	fflush(told.out);
	told.size = size;
}

static void put_daily(const struct history_mapping *m, struct history_grant *grants, size_t n)
{
	if (n)
		told_put((struct history_record){
			.time = 400, .event = EVENT_GRANTS, .part = 1, .grants = grants, .n_grants = n });
	told_put((struct history_record){ .time = 400,
					  .event = EVENT_DAILY,
					  .mappings = (struct history_mapping *)m,
					  .n_mappings = 1,
					  .n_listed = n });
}

Test(history_grants, lines_that_are_lost_may_have_told_of_grants)
{
	const struct history_mapping m = told_mapping(A, 100);
	struct history_grant still = grant(2, 576);
	struct history_index x;

	told_setup();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	put_lost(lost_grant(200, false));
	put_lost(lost_grant(300, true));
	still.from = 150;
	/* The first one hangs on what is lost. */
	put_daily(&m, NULL, 0);
	put_daily(&m, &still, 1);
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 250), "no record", "%s", told_ask(&x, "1.1.1.0:512", 250));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:576", 250), "10.0.0.2", "%s", told_ask(&x, "1.1.1.0:576", 250));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 401), "nobody");
	cr_expect_str_eq(told_ask(&x, POINT, 250), "10.0.0.0");
	history_index_free(&x);
	told_teardown();
}

Test(history_grants, the_end_of_a_lost_grant_says_since_when_it_was)
{
	const struct history_mapping m = told_mapping(A, 100);
	struct history_index x;

	told_setup();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	put_lost(lost_grant(200, false));
	told_put((struct history_record){ .time = 250, .event = EVENT_STOP });
	told_put(lost_grant(300, true));
	told_put_confirm(300);
	put_daily(&m, NULL, 0);
	x = told_read_back();
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 220), "10.0.0.1");
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 199), "no record");
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 401), "nobody");
	history_index_free(&x);
	told_teardown();
}

Test(history_grants, a_list_whose_parts_are_not_whole_is_damage_up_to_the_next)
{
	static const struct {
		uint64_t part, listed;
		const char *said;
	} rows[] = {
		{ 2, 1, "is part 2 of a list, and part 1 belongs here" },
		{ 1, 2, "lists 2 grants, and the lines before it have 1" },
		{ 1, 0, "lists 0 grants, and the lines before it have 1" },
	};
	const struct history_mapping m = told_mapping(A, 100);
	struct history_grant one = grant(1, 512);

	one.from = 200;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history_index x;

		told_setup();
		told_put_start(100, TIME_NONE);
		told_put_change(100, EVENT_ADD, A, 100);
		told_put_confirm(100);
		told_put(lost_grant(200, false));
		told_put_confirm(200);
		told_put((struct history_record){
			.time = 300, .event = EVENT_GRANTS, .part = rows[i].part, .grants = &one, .n_grants = 1 });
		told_put((struct history_record){ .time = 300,
						  .event = EVENT_DAILY,
						  .mappings = (struct history_mapping *)&m,
						  .n_mappings = 1,
						  .n_listed = rows[i].listed });
		put_daily(&m, &one, 1);
		x = told_read_back();
		cr_assert_geq(x.n_damages, 1);
		cr_expect_str_eq(x.damages[0].text, rows[i].said, "%s", x.damages[0].text);
		cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 401), "10.0.0.1");
		cr_expect_str_eq(told_ask(&x, "1.1.1.0:640", 350), "no record");
		history_index_free(&x);
		told_teardown();
	}
}

Test(history_grants, rest_after_a_start_with_a_new_datapath)
{
	struct history_grant two[] = { grant(1, 512), grant(2, 576) }, *list;
	struct error err = { 0 };
	size_t n;

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(change(NULL, 0, two, 2), 0);
	lab_confirm();
	lab.now += 100;
	cr_assert_eq(change(two, 1, NULL, 0), 0);
	lab_confirm();
	history_close(lab.history);
	lab.now += 50;
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, false, NULL, 0), 0);
	cr_assert_eq(history_rested_grants(lab.history, 60, &list, &n), 0);
	cr_assert_eq(n, 2);
	cr_expect(history_facts_same(FACT_GRANT, &list[0], &two[0]) && list[0].from == NOON + 100);
	cr_expect(history_facts_same(FACT_GRANT, &list[1], &two[1]) && list[1].from == NOON + 150,
		  "it was there until now");
	free(list);
	cr_assert_eq(history_rested_grants(lab.history, 40, &list, &n), 0);
	cr_assert_eq(n, 1);
	free(list);
}

Test(history_grants, of_lines_that_contradict_each_other_none_is_passed_over)
{
	const struct history_mapping m = told_mapping(A, 100);
	struct history_grant other = grant(2, 512);
	struct history_record r = lost_grant(150, false);
	struct history_index x;

	told_setup();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	r.grant.from = 150;
	told_put(r);
	told_put_confirm(150);
	put_lost(lost_grant(200, true));
	/* By a list that hangs on nothing, the block had been of another before. */
	other.from = 120;
	put_daily(&m, NULL, 0);
	put_daily(&m, &other, 1);
	x = told_read_back();
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 140), "10.0.0.2", "%s", told_ask(&x, "1.1.1.0:512", 140));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 150), "10.0.0.2+10.0.0.1", "%s", told_ask(&x, "1.1.1.0:512", 150));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:512", 300), "10.0.0.2", "%s", told_ask(&x, "1.1.1.0:512", 300));
	history_index_free(&x);
	told_teardown();
}
