/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants in files of their days, by the functions that read them. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/ledger.h"
#include "command.h"
#include "grant_days_fixture.h"
#include "history/history_grant_days.h"
#include "history_fixture.h"
#include "plan/blocks.h"

TestSuite(grant_days_lines, .init = days_begin, .fini = lab_teardown);

#define FIRST_DAY (uint32_t)(NOON / DAY)

/* A history with a list that names three grants of one day, of hosts 1 to 3. */
static void list_three(void)
{
	days_share();
	for (uint32_t host = 1; host <= 3; host++)
		days_make(days_grant(host, (uint16_t)(960 + 64 * host)));
	lab.now += DAY;
	days_tick();
}

/* Writes the lines of the grants that the list names. */
static void copy_list(struct grant_days *d, char **ret, size_t *ret_size)
{
	struct history_files f;
	struct error err = { 0 };
	FILE *out = open_memstream(ret, ret_size);
	char *line, *rest;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	for (line = rest = strndup(f.text, f.size); line && *line; line = strchr(line, '\n') + 1) {
		struct history_record r = { 0 };

		if (!history_record_read(line, strcspn(line, "\n"), &r, &err) && r.event == EVENT_GRANTS) {
			cr_expect_eq(r.n_grants, 3);
			cr_assert_eq(grant_days_copy(d ? d : f.days, &r, out), 0);
		}
		history_record_free(&r);
	}
	free(rest);
	history_files_free(&f);
	fclose(out);
}

static struct grant_days *open_days(bool evidence)
{
	struct grant_days *d = NULL;
	int dir = open(lab.state, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(dir, 0);
	cr_assert_eq(grant_days_new(dir, evidence, &d), 0);
	close(dir);
	return d;
}

static int find(struct grant_days *d, uint64_t line, uint32_t *ret_in)
{
	struct history_grant g = { 0 };
	struct error why = { 0 };
	int r = grant_days_find(d, FIRST_DAY, line, "", &g, &why);

	*ret_in = g.in;
	cr_expect(r || (g.out == 0x01010100 && g.ports == 64 && g.port_lo == 960 + 64 * (g.in & 0xff)));
	return r;
}

static void expect_three(struct grant_days *d)
{
	uint32_t in;

	for (uint64_t line = 3; line > 0; line--) {
		cr_expect_eq(find(d, line, &in), 0, "line %d", (int)line);
		cr_expect_eq(in, 0x0a000000 + line, "line %d", (int)line);
	}
}

Test(grant_days_lines, all_that_a_list_names_are_copied_and_read_in_any_order)
{
	char *text = NULL, *second, *third;
	struct grant_days *d;
	size_t size = 0;
	uint32_t in;
	FILE *out;

	list_three();
	copy_list(NULL, &text, &size);
	cr_assert(strstr(text, "10.0.0.1") && strstr(text, "10.0.0.2") && strstr(text, "10.0.0.3"), "%s", text);
	second = strchr(text, '\n') + 1;
	third = strchr(second, '\n') + 1;
	out = fopen(days_path(GRANT_EVIDENCE_FILE), "we");
	fprintf(out, "%s%.*s%.*s", third, (int)(third - second), second, (int)(second - text), text);
	fclose(out);
	d = open_days(true);
	expect_three(d);
	cr_expect_eq(find(d, 4, &in), -ENOENT, "evidence does not have what is not needed");
	/* It is read once. */
	cr_assert(!unlink(days_path(GRANT_EVIDENCE_FILE)));
	expect_three(d);
	grant_days_free(d);
	free(text);
	/* Nor is anything copied from evidence. */
	d = open_days(true);
	copy_list(d, &text, &size);
	cr_expect_str_eq(text, "");
	grant_days_free(d);
	free(text);
}

Test(grant_days_lines, what_is_forgotten_is_read_again)
{
	struct grant_days *d;
	char away[128];
	uint32_t in;

	list_three();
	snprintf(away, sizeof(away), "%s", days_path("away"));
	d = open_days(false);
	expect_three(d);
	cr_expect_eq(grant_days_named(d, FIRST_DAY), 3);
	cr_expect_eq(grant_days_named(d, FIRST_DAY + 1), 0);
	grant_days_trim(d);
	expect_three(d);
	cr_expect_eq(find(d, 4, &in), -EBADMSG);
	cr_assert_eq(rename(days_path(FIRST), away), 0);
	expect_three(d);
	grant_days_clear(d);
	cr_expect_eq(find(d, 1, &in), -EBADMSG, "it is missing");
	cr_assert_eq(rename(away, days_path(FIRST)), 0);
	grant_days_clear(d);
	expect_three(d);
	cr_expect_eq(grant_days_named(d, FIRST_DAY), 4, "nothing forgets that");
	grant_days_free(d);
}

Test(grant_days_lines, a_file_that_the_ledger_says_was_removed_is_not_missing)
{
	struct grant_days *d;
	struct error err = { 0 };
	uint32_t in;

	list_three();
	d = open_days(false);
	cr_assert(!unlink(days_path(FIRST)));
	cr_expect_eq(find(d, 1, &in), -EBADMSG);
	cr_assert_eq(ledger_append(lab.state, LEDGER_FILE, "\"event\":\"remove\",\"file\":\"" NEXT "\"\n",
				   strlen("\"event\":\"remove\",\"file\":\"" NEXT "\"\n"), NOON, &err),
		     0, "%s", err.text);
	grant_days_clear(d);
	cr_expect_eq(find(d, 1, &in), -EBADMSG, "another was");
	cr_assert_eq(ledger_append(lab.state, LEDGER_FILE, "\"event\":\"remove\",\"file\":\"" FIRST "\"\n",
				   strlen("\"event\":\"remove\",\"file\":\"" FIRST "\"\n"), NOON, &err),
		     0, "%s", err.text);
	cr_expect_eq(find(d, 1, &in), -EBADMSG, "the ledger is read once");
	grant_days_clear(d);
	cr_expect_eq(find(d, 1, &in), -ENOENT);
	grant_days_free(d);
}

static bool reads(const char *text, struct history_record *r)
{
	cJSON *json = cJSON_Parse(text);
	bool good;

	*r = (struct history_record){ .grant = { .day = FIRST_DAY } };
	cr_assert(json);
	good = history_grant_line_read(json, r);
	cJSON_Delete(json);
	return good;
}

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(grant_days_lines, a_record_names_its_line_by_number_and_hash_or_not_at_all)
{
	struct history_record r;

	cr_expect(reads("{}", &r));
	cr_expect_eq(r.day_line, 0);
	cr_expect(reads("{\"day_line\":17,\"day_hash\":\"" DIGITS "\"}", &r));
	cr_expect_eq(r.day_line, 17);
	cr_expect_str_eq(r.day_hash, DIGITS);
	cr_expect_not(reads("{\"day_line\":17,\"day_hash\":\"0" DIGITS "\"}", &r));
	cr_expect_not(reads("{\"day_line\":17}", &r));
	cr_expect_not(reads("{\"day_line\":-1,\"day_hash\":\"" DIGITS "\"}", &r));
	cr_expect_not(reads("{\"day_line\":\"17\",\"day_hash\":\"" DIGITS "\"}", &r));
	/* Of a grant that is in no day's file. */
	r = (struct history_record){ 0 };
	cJSON *json = cJSON_Parse("{\"day_line\":17}");

	cr_expect(history_grant_line_read(json, &r));
	cr_expect_eq(r.day_line, 0);
	cJSON_Delete(json);
}

Test(grant_days_lines, a_file_stays_while_a_grant_of_its_day_lasts_or_ended_at_that_time_or_later)
{
	struct grant_interval v[2] = { { .grant = { .day = FIRST_DAY + 1 }, .to = TIME_OPEN },
				       { .grant = { .day = FIRST_DAY }, .to = NOON } };
	struct history_index x = { .grants = { .interval = v, .n = 1 } };

	cr_expect(history_grants_stay(&x, NEXT, NOON), "it lasts");
	cr_expect_not(history_grants_stay(&x, FIRST, NOON), "none is of that day");
	cr_expect(history_grants_stay(&x, "history.jsonl", NOON), "it is no file of grants");
	x.grants.n = 2;
	cr_expect(history_grants_stay(&x, FIRST, NOON));
	cr_expect_not(history_grants_stay(&x, FIRST, NOON + 1));
	v[1].to = TIME_OPEN;
	cr_expect(history_grants_stay(&x, FIRST, NOON + 1));
	v[1].undone = true;
	cr_expect_not(history_grants_stay(&x, FIRST, NOON));
}

Test(grant_days_lines, an_open_grant_of_the_same_place_says_who_had_it)
{
	struct grant_interval v[] = {
		{ .grant = { .day = FIRST_DAY, .at = 1, .in = 1, .out = 9, .port_lo = 8, .ports = 4 } },
		{ .grant = { .day = FIRST_DAY, .at = 2, .in = 2, .out = 9, .port_lo = 12, .ports = 4 } },
		{ .grant = { .day = FIRST_DAY + 1, .at = 1, .in = 3, .out = 9, .port_lo = 16, .ports = 4 } }
	};
	uint32_t open[] = { 0, 1, 2 };
	struct history_grants known = { .interval = v, .n = 3, .open = open, .n_open = 3 };

	for (size_t i = 0; i < 3; i++) {
		struct history_grant g = { .day = v[i].grant.day, .at = v[i].grant.at };

		history_grant_recall(&known, &g);
		cr_expect(g.in == v[i].grant.in && g.out == 9 && g.port_lo == v[i].grant.port_lo && g.ports == 4, "%zu",
			  i);
	}
	struct history_grant other = { .day = FIRST_DAY + 1, .at = 2 };

	history_grant_recall(&known, &other);
	cr_expect_eq(other.in, 0);
}

Test(grant_days_lines, a_line_that_is_no_whole_grant_says_nothing)
{
	/* Its chain is whole. */
	static const char body[] =
		"\"time\":\"2026-01-01T12:00:00Z\",\"event\":\"grant\",\"in\":\"10.0.0.9\",\"out\":\"1.1.1.0\","
		"\"port_lo\":1024,\"port_hi\":1087,\"from\":7\n";
	struct error err = { 0 };
	struct grant_days *d;
	uint32_t in;

	list_three();
	cr_assert_eq(ledger_append(lab.state, FIRST, body, strlen(body), NOON, &err), 0, "%s", err.text);
	d = open_days(false);
	cr_expect_eq(find(d, 4, &in), -EBADMSG);
	cr_expect_eq(in, 0, "%x", in);
	expect_three(d);
	grant_days_free(d);
}

Test(grant_days_lines, what_a_record_names_and_is_missing_is_not_copied)
{
	const struct history_record r = { .event = EVENT_GRANT, .day_line = 9, .grant = { .day = FIRST_DAY } };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct grant_days *d;

	list_three();
	d = open_days(false);
	cr_expect_eq(grant_days_copy(d, &r, out), 0);
	fclose(out);
	cr_expect_str_eq(text, "");
	grant_days_free(d);
	free(text);
}

Test(grant_days_lines, a_grant_fits_a_block_of_the_mapping_that_its_address_is_of)
{
	const struct history_mapping m = days_sharing();
	const struct history_grant good[] = { days_grant(0, 1024), days_grant(1, 1088), days_grant(255, 1984) };
	struct history_grant bad[] = { days_grant(1, 1056),   days_grant(1, 960),  days_grant(1, 2048),
				       days_grant(256, 1024), days_grant(1, 1024), days_grant(1, 1024),
				       days_grant(1, 1024) };
	struct geometry geo;

	cr_assert_eq(plan_blocks_geometry(m.in, m.out, &m.blocks, &geo), 0);
	bad[4].out++;
	/* 1024 is the first port of blocks of any size, and 1087 the next of these. */
	bad[5] = days_grant(1, 1088);
	bad[5].ports = 63;
	/* Of which the file is gone. */
	bad[6].in = bad[6].port_lo = bad[6].ports = 0;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(history_grant_fits(&geo, &good[i]), "%zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(history_grant_fits(&geo, &bad[i]), "%zu", i);
	geo.ports_per_host = 0;
	cr_expect_not(history_grant_fits(&geo, &good[0]));
}

Test(grant_days_lines, a_link_in_the_place_of_a_file_is_not_followed)
{
	struct grant_days *d;
	char other[128];
	uint32_t in;

	list_three();
	snprintf(other, sizeof(other), "%s", days_path("other"));
	cr_assert(!rename(days_path(FIRST), other) && !symlink("other", days_path(FIRST)));
	d = open_days(false);
	cr_expect_eq(find(d, 1, &in), -EBADMSG);
	cr_expect_eq(in, 0);
	grant_days_free(d);
}

Test(grant_days_lines, a_line_has_a_salt_of_16_octets_so_that_its_hash_tells_nothing)
{
	_cleanup_free_ char *line = NULL, *salt = NULL;
	size_t room = 0;
	FILE *f;

	list_three();
	f = fopen(days_path(FIRST), "re");
	while (getline(&line, &room, f) > 0) {
		char *at = strstr(line, "\"salt\":\"");

		cr_assert(at, "%s", line);
		at += strlen("\"salt\":\"");
		cr_expect_eq(strspn(at, "0123456789abcdef"), 32, "%s", line);
		cr_expect(!salt || strncmp(at, salt, 32) != 0, "%s", line);
		free(salt);
		salt = strndup(at, 32);
	}
	fclose(f);
	cr_expect(salt);
}
