// SPDX-License-Identifier: BSD-2-Clause
/* detnat-desk: the routes of programs and the document about them, their parameters, tenants, and shares. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/json_scan.h"
#include "client_address.h"
#include "history_mark.h"
#include "lookups.h"
#include "pages.h"
#include "refusals.h"

#define FORM "application/x-www-form-urlencoded"

static cJSON *document(void)
{
	const struct asset *a = asset_find(API_DOCUMENT);

	return cJSON_ParseWithLength(a->data, (size_t)(a->end - a->data));
}

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The parameters of an operation, as bits. */
static unsigned named(const char *name)
{
	for (unsigned i = 0; i < N_PARAMS; i++)
		if (!strcmp(name, param_name((enum param)i)))
			return 1U << i;
	cr_assert(false, "%s is no parameter", name);
	return 0;
}

static void expect_operation(const struct api_route *r, const char *method, const cJSON *operation)
{
	const cJSON *form = get(get(get(get(get(operation, "requestBody"), "content"), FORM), "schema"), "properties");
	unsigned takes = 0, needs = 0, of_form = 0;
	const cJSON *p;

	cr_assert_not_null(operation, "%s %s", method, r->path);
	cJSON_ArrayForEach (p, get(operation, "parameters")) {
		takes |= named(get(p, "name")->valuestring);
		needs |= cJSON_IsTrue(get(p, "required")) ? named(get(p, "name")->valuestring) : 0;
	}
	cJSON_ArrayForEach (p, form)
		of_form |= named(p->string);
	cr_expect_eq(takes, r->takes | (strcmp(method, "post") ? 0 : r->lists), "%s %s", method, r->path);
	cr_expect_eq(needs, r->post && api_takes_form(r) && !strcmp(method, "post") ? 0 : r->needs, "%s %s", method,
		     r->path);
	cr_expect_eq(of_form, !strcmp(method, "post") && api_takes_form(r) ? r->takes : 0, "%s %s", method, r->path);
}

Test(desk_api, the_document_has_the_paths_methods_and_parameters_that_are_served)
{
	_cleanup_json_ cJSON *all = document();
	const cJSON *paths = get(all, "paths");

	cr_assert_eq((unsigned)cJSON_GetArraySize(paths), n_api_routes);
	for (unsigned i = 0; i < n_api_routes; i++) {
		const struct api_route *r = &api_routes[i];
		const cJSON *path = get(paths, r->path);

		cr_assert_not_null(path, "%s", r->path);
		cr_expect_eq(cJSON_GetArraySize(path), r->get + r->post, "%s", r->path);
		if (r->get)
			expect_operation(r, "get", get(path, "get"));
		if (r->post)
			expect_operation(r, "post", get(path, "post"));
		cr_expect_eq(!get(get(path, "get"), "security"), r->ask != NULL, "%s", r->path);
	}
}

Test(desk_api, parameters_of_any_octets_are_checked)
{
	static const struct {
		const char *key, *value;
		size_t size;
		int r;
	} rows[] = {
		{ "endpoint", "1.1.1.1:1276", 12, 0 },
		{ "endpoint", "1.1.1.1:1276", 13, -EINVAL },
		{ "endpoint", "", 0, -EINVAL },
		{ "endpoint", NULL, 0, -EINVAL },
		{ "endpoint", "1.1.1.1:65536", 13, -EINVAL },
		{ "endpoint", "1.1.1.1", 7, 0 },
		{ "limit", "100000", 6, 0 },
		{ "limit", "100001", 6, -EINVAL },
		{ "limit", "0", 1, -EINVAL },
		{ "offset", "4294967295", 10, 0 },
		{ "offset", "4294967296", 10, -EINVAL },
		{ "offset", "-1", 2, -EINVAL },
		{ "reason", "\xc3\xa9", 2, 0 },
		{ "reason", "\xc3", 1, -EINVAL },
		{ "reason", "a\x1b[2J", 5, -EINVAL },
		{ "zone", "UTC", 3, -EINVAL },
		{ "", "a", 1, -EINVAL },
		{ "customer", "--erase", 7, 0 },
	};
	unsigned takes = ~0U & ~P(ZONE);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct params p = {};
		struct error err;

		cr_expect_eq(params_add(&p, takes, rows[i].key, rows[i].value, rows[i].size, &err), rows[i].r, "%s",
			     rows[i].value);
		cr_expect_eq(p.given != 0, !rows[i].r, "%s", rows[i].value);
	}
}

Test(desk_api, an_answer_about_another_tenant_is_seen_wherever_it_names_one)
{
	static const struct tenants_seen a = { .name = { "a", "b" }, .n = 2 };
	static const struct {
		const char *json;
		bool permitted;
	} rows[] = {
		{ "{\"in_addr\":\"10.0.0.1\",\"tenant\":\"a\"}", true },
		{ "{\"tenant\": \"b\" , \"in_addr\" : \"10.0.0.1\"}", true },
		{ "{\"in_addr\":\"10.0.0.1\",\"tenant\":\"c\"}", false },
		{ "{\"in_addr\":\"10.0.0.1\"}", false },
		{ "{\"in_prefix\":\"2001:db8::/56\"}", false },
		{ "{\"in_prefix\":\"2001:db8::/56\",\"tenant\":\"a\"}", true },
		{ "{\"in_addr\":null}", true },
		{ "{\"in_addr\":null,\"tenant\":\"c\"}", false },
		{ "[]", true },
		{ "", true },
		{ "[{\"in_addr\":\"1\",\"tenant\":\"a\"},{\"in_addr\":\"2\"}]", false },
		{ "{\"in_addr\":\"1\",\"tenant\":\"a\",\"customers\":[{\"tenant\":null,\"in_addr\":\"1\"}]}", true },
		{ "{\"in_addr\":\"1\",\"tenant\":\"a\",\"holders\":[{\"in_addr\":\"1\",\"tenant\":\"ab\"}]}", false },
		{ "{\"candidates\":[{\"in_addr\":\"1\",\"tenant\":\"a\"}],\"next\":null}", true },
		{ "{\"id\":\"x\\\"tenant\\\":\\\"a\\\"\",\"in_addr\":\"1\"}", false },
		{ "{\"id\":\"tenant\",\"x\":\"a\",\"in_addr\":\"1\"}", false },
		{ "{\"tenant\":[\"a\"],\"in_addr\":\"1\"}", false },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", false },
		{ "{\"in_addr\":\"1\",\"tenant\":\"a\"", false },
		{ "{\"tenant\":\"a\\", false },
		{ "]", false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(tenants_permit(&a, rows[i].json, strlen(rows[i].json)), rows[i].permitted, "%s",
			     rows[i].json);
}

static bool never(void *arg)
{
	(*(unsigned *)arg)++;
	return false;
}

Test(desk_api, whatever_others_take_each_kind_and_asker_has_a_process)
{
	struct asker who[] = { { "user a", ASKING_LOOKUP }, { "program c", ASKING_PROGRAM } };
	unsigned taken = 0, asked = 0;

	for (unsigned others = 0; others < 100; others++) {
		struct asker a = { .asking = ASKING_STATE }, p = { .asking = ASKING_PROGRAM };

		snprintf(a.name, sizeof(a.name), "flood %u", others / 8);
		snprintf(p.name, sizeof(p.name), "program %u", others);
		taken += share_take(SHARE_PROCESSES, &p, 1);
		taken += share_take(SHARE_PROCESSES, &a, 1);
	}
	cr_expect_eq(taken, 7, "programs 3, the state 4");
	cr_expect(share_take(SHARE_PROCESSES, &who[0], 1));
	cr_expect_not(share_take(SHARE_PROCESSES, &who[0], 1));
	cr_expect_not(share_wait(SHARE_PROCESSES, &who[1], 1, 60, never, &asked), "nobody waits for it");
	cr_expect_eq(asked, 1);
	share_give(SHARE_PROCESSES, &who[0], 1);
	cr_expect(share_wait(SHARE_PROCESSES, &who[0], 1, 0, never, &asked));
}

Test(desk_api, whoever_is_not_known_takes_no_room_of_those_who_are)
{
	struct asker nobody = { "no program", ASKING_NOBODY };

	for (unsigned what = 0; what < N_SHARES; what++)
		while (share_take((enum share)what, &nobody, 1))
			;
	for (unsigned i = 0; i < 96; i++) {
		struct asker program = { .asking = ASKING_PROGRAM };

		snprintf(program.name, sizeof(program.name), "program %u", i);
		cr_expect(share_take(SHARE_REQUESTS, &program, 1), "%u", i);
	}
	cr_expect_not(share_take(SHARE_PROCESSES, &nobody, 1));
	cr_expect_not(share_take(SHARE_BODIES, &nobody, 1));
}

Test(desk_api, clients_are_the_last_address_and_networks_of_ipv6)
{
	static const struct {
		const char *value, *client;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "203.0.113.9, 192.0.2.1", "192.0.2.1" },
		{ "203.0.113.9,  192.0.2.1 ", "192.0.2.1" },
		{ "192.0.2.1, unknown", "" },
		{ "192.0.2.1,", "" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "2001:db8:1:2::9", "2001:db8:1:2::/64" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "[2001:db8::1]:443", "" },
		{ "192.0.2.1\"x", "" },
		{ "192.0.2.01", "" },
		{ "1111111111111111111111111111111111111111111111111111111111111111111", "" },
		{ "", "" },
	};
	char client[CLIENT_TEXT];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		client_address(rows[i].value, client);
		cr_expect_str_eq(client, rows[i].client, "%s: %s", rows[i].value, client);
	}
}

static uint64_t told, lines;

static void tell(void *arg, const struct refusals_more *m)
{
	told += m->times;
	lines++;
	if (arg)
		*(struct refusals_more *)arg = *m;
}

static bool refuse(const char *whom, bool known, const char *kind, const char *what, int64_t now)
{
	return refusals_first(
		&(struct refusal_of){
			.whom = whom, .known = known, .kind = kind, .what = what, .why = "why", .ledger = true },
		now);
}

Test(desk_api, the_first_refusal_of_an_hour_has_a_line_and_the_others_a_number)
{
	int64_t hour = 3600 * 1000;
	struct refusals_more more;

	cr_expect(refuse("token a", true, "who", "400", hour));
	for (unsigned i = 0; i < 999; i++)
		cr_expect_not(refuse("token a", true, "who", "400", hour + i));
	cr_expect(refuse("token a", true, "customer", "400", hour));
	cr_expect(refuse("token a", true, "who", "403", hour));
	cr_expect(refuse("token b", true, "who", "400", hour));
	refusals_take(hour + 3599, false, tell, NULL);
	cr_expect_eq(lines, 0, "the hour is not over");
	cr_expect(refuse("token a", true, "who", "400", hour + 3600));
	refusals_take(hour + 3600, false, tell, &more);
	cr_expect(lines == 1 && told == 999);
	cr_expect_str_eq(more.whom, "token a");
	cr_expect_str_eq(more.kind, "who");
	cr_expect_str_eq(more.why, "why");
	cr_expect_not(refuse("token a", true, "who", "400", hour + 3600));
	refusals_take(hour + 3600, true, tell, NULL);
	cr_expect(lines == 2 && told == 1000, "an end tells what this hour has");
	cr_expect_not(refuse("token a", true, "who", "400", hour + 3601), "and is no new one");
}

Test(desk_api, a_flood_of_strangers_has_few_lines_and_hides_nobody)
{
	int64_t hour = 3600 * 2000;
	uint64_t first = 0;
	char whom[32];

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(whom, sizeof(whom), "stranger %u", i);
		first += refuse(whom, false, "who", "401", hour + i / 10);
	}
	cr_expect_eq(first, REFUSALS_STRANGER);
	cr_expect(refuse("token a", true, "who", "403", hour));
	refusals_take(hour + 3600, false, tell, NULL);
	cr_expect(lines == 1 && told == 20000 - REFUSALS_STRANGER, "%lu %lu", lines, told);
}

Test(desk_api, one_asker_has_no_more_than_its_part_of_anything)
{
	static const uint64_t all[N_SHARES] = { 256, 8, 64U << 20, 6ULL << 30 };
	struct asker a = { "user a", ASKING_LOOKUP }, b = { "user b", ASKING_LOOKUP };

	for (unsigned what = 0; what < N_SHARES; what++) {
		uint64_t n = 0, step = all[what] / 256 ? all[what] / 256 : 1;

		while (share_take((enum share)what, &a, step))
			n += step;
		cr_expect(n && n <= all[what] / 2, "%u: %lu", what, n);
		cr_expect(share_take((enum share)what, &b, step));
		share_give((enum share)what, &b, step);
		share_give((enum share)what, &a, n);
		cr_expect(share_take((enum share)what, &a, n), "%u: what was given back is there again", what);
		share_give((enum share)what, &a, n);
	}
}

Test(desk_api, a_list_of_the_history_is_known_until_the_file_changes)
{
	char dir[] = "/tmp/detnat-mark.XXXXXX", path[64];
	struct history_seen seen, none;
	struct call a = { .answer = ASK_NO_ANSWER }, b = { .answer = ASK_NO_ANSWER };
	FILE *file;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/history.jsonl", dir);
	history_look(dir, &none);
	cr_expect_not(history_mark_recall(&none, &a));
	history_mark_make(&none, &a);
	cr_expect_not(history_mark_recall(&none, &b), "a file that is not seen may have changed");
	file = fopen(path, "w");
	history_look(dir, &seen);
	cr_assert_eq(buffer_add(&a.answer.text, "[]", 2, 2), 0);
	history_mark_make(&seen, &a);
	cr_expect_eq(strlen(a.mark), 35);
	cr_assert(history_mark_recall(&seen, &b));
	cr_expect_str_eq(b.mark, a.mark);
	/* The file itself has another mark, which needs no list. */
	history_mark_file(&seen, &b);
	cr_expect_str_neq(b.mark, a.mark);
	strcpy(a.mark, b.mark);
	fputs("{}", file);
	fclose(file);
	history_look(dir, &seen);
	cr_expect_not(history_mark_recall(&seen, &b));
	history_mark_file(&seen, &b);
	cr_expect_str_neq(b.mark, a.mark);
	*b.mark = '\0';
	history_mark_file(&none, &b);
	cr_expect_str_empty(b.mark);
	ask_answer_free(&a.answer);
	unlink(path);
	rmdir(dir);
}
