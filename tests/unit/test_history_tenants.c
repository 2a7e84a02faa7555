/* SPDX-License-Identifier: BSD-2-Clause */
/* Tenants in the mapping history: what is written of them, and whose subscriber an answer names. */
#include <criterion/criterion.h>

#include <string.h>

#include "history_fixture.h"
#include "history_text.h"

TestSuite(history_tenants, .init = told_setup, .fini = told_teardown);

static struct history_mapping of_tenant(const char *tenant, const char *in, const char *out, int64_t from)
{
	struct history_mapping m = told_mapping(in, out, from);

	snprintf(m.tenant, sizeof(m.tenant), "%s", tenant);
	return m;
}

static void put(int64_t time, enum history_event event, struct history_mapping m)
{
	told_put((struct history_record){ .time = time, .event = event, .mapping = m });
}

/* "10.0.0.5 of ispA", with "+10.0.0.5 of ispB" where that held it, too. */
static const char *ask(const struct history_index *x, const char *endpoint, int64_t t)
{
	static char said[4 * LABEL_TEXT];
	struct who_answer a;
	struct endpoint e;
	struct who *w;
	char addr[ADDR_TEXT];
	size_t n;

	cr_assert_eq(endpoint_parse(endpoint, &e), 0);
	cr_assert_eq(who_new(x, &w), 0);
	if (who_ask(w, e, t, &a, NULL) == WHO_FOUND)
		n = (size_t)snprintf(said, sizeof(said), "%s of %s", addr_format(a.best.in_addr, addr), a.best.tenant);
	else
		n = (size_t)snprintf(said, sizeof(said), "none");
	if (a.other)
		snprintf(said + n, sizeof(said) - n, "+%s of %s", addr_format(a.other->in_addr, addr), a.other->tenant);
	who_free(w);
	return said;
}

Test(history_tenants, the_same_inside_prefix_of_two_is_no_exception_of_either)
{
	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, of_tenant("ispA", "10.0.0.0/24", "1.1.1.0/32", 100));
	put(100, EVENT_ADD, of_tenant("ispB", "10.0.0.0/24", "1.1.2.0/32", 100));
	/* Within the prefix, of one of them. */
	put(100, EVENT_ADD, of_tenant("ispB", "10.0.0.0/25", "1.1.3.0/32", 100));
	told_put_confirm(100);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(ask(&x, "1.1.1.0:1024", 200), "10.0.0.0 of ispA");
	cr_expect_str_eq(ask(&x, "1.1.2.0:1024", 200), "none");
	cr_expect_str_eq(ask(&x, "1.1.3.0:1024", 200), "10.0.0.0 of ispB");
	cr_expect_str_eq(ask(&x, "1.1.2.0:65535", 200), "10.0.0.255 of ispB");
	history_index_free(&x);
}

Test(history_tenants, an_address_that_changes_its_tenant_is_another_subscribers)
{
	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, of_tenant("ispA", A, 100));
	told_put_confirm(100);
	put(200, EVENT_DEL, of_tenant("ispA", A, 100));
	put(200, EVENT_ADD, of_tenant("ispB", A, 200));
	told_put_confirm(200);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0 of ispA");
	cr_expect_str_eq(ask(&x, POINT, 200), "10.0.0.0 of ispB+10.0.0.0 of ispA");
	cr_expect_str_eq(ask(&x, POINT, 201), "10.0.0.0 of ispB");
	history_index_free(&x);
}

Test(history_tenants, a_list_tells_the_tenant_of_a_mapping_that_had_none)
{
	struct history_mapping listed = of_tenant("ispA", A, 100);

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put((struct history_record){ .time = 150, .event = EVENT_DAILY, .mappings = &listed, .n_mappings = 1 });

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_eq(x.n_intervals, 1);
	cr_expect_str_eq(ask(&x, POINT, 199), "10.0.0.0 of ispA");
	history_index_free(&x);
}

Test(history_tenants, a_mapping_of_another_tenant_is_not_the_listed_one)
{
	struct history_mapping listed = of_tenant("ispB", A, 100);

	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, of_tenant("ispA", A, 100));
	told_put_confirm(100);
	told_put((struct history_record){ .time = 150, .event = EVENT_DAILY, .mappings = &listed, .n_mappings = 1 });

	struct history_index x = told_read_back();

	cr_expect_eq(x.n_damages, 1);
	history_index_free(&x);
}

/* The history as the agent writes it. */

TestSuite(history_tenants_written, .init = lab_setup, .fini = lab_teardown);

static struct history_mapping lab_of(const char *tenant)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");

	snprintf(m.tenant, sizeof(m.tenant), "%s", tenant);
	return m;
}

static void change(const struct history_mapping *del, size_t n_del, const struct history_mapping *add)
{
	struct error err;

	cr_assert_eq(history_change(lab.history, del, n_del, add, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 60;
}

/* The tenants of the history's intervals, in order. */
static void expect_tenants(const char *wanted)
{
	struct history_files f;
	struct error err;
	char said[256] = "";

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	for (size_t i = 0; i < f.index.n_intervals; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", i ? " " : "",
			 f.index.intervals[i].tenant);
	cr_expect_str_eq(said, wanted);
	cr_expect_eq(f.index.n_open, 1);
	history_files_free(&f);
}

Test(history_tenants_written, a_mapping_that_gets_a_tenant_goes_on)
{
	struct history_mapping none = lab_of(""), a = lab_of("ispA");

	change(NULL, 0, &none);
	change(NULL, 0, &a);
	cr_expect_str_eq(lab_events(), "start add confirm daily");
	expect_tenants("ispA");
}

Test(history_tenants_written, one_of_another_tenant_begins_anew)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB");

	change(NULL, 0, &a);
	change(&a, 1, &b);
	cr_expect_str_eq(lab_events(), "start add confirm del add confirm");
	expect_tenants("ispA ispB");
}

Test(history_tenants_written, one_that_stays_while_its_tenant_changes_begins_anew)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB");

	change(NULL, 0, &a);
	change(NULL, 0, &b);
	cr_expect_str_eq(lab_events(), "start add confirm del add confirm");
	expect_tenants("ispA ispB");
}

Test(history_tenants_written, tables_of_another_tenant_are_not_what_is_recorded)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB"), unknown = lab_of("");
	struct error why;

	change(NULL, 0, &a);
	cr_expect(history_holds(lab.history, &a, 1, &why));
	cr_expect(history_holds(lab.history, &unknown, 1, &why));
	cr_expect_not(history_holds(lab.history, &b, 1, &why));
}
