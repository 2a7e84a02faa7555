/* SPDX-License-Identifier: BSD-2-Clause */
/* Tenants in the mapping history: what is written of them, and whose subscriber an answer names. */
#include <criterion/criterion.h>

#include <string.h>

#include "history/history_lists.h"
#include "history_fixture.h"
#include "history_text.h"

/* A record as a line. */
static const char *written(const struct history_record *r)
{
	static char text[1024];
	struct chain_tip tip = { .hash = HASH_NONE };
	FILE *out = fmemopen(text, sizeof(text), "w");

	cr_assert_eq(history_record_write(out, r, &tip), 0);
	fclose(out);
	return text;
}

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
	cr_expect_eq(x.mappings.n, 1);
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

static void put_portmap(int64_t time, const char *tenant, bool ends)
{
	struct history_record r = {
		.time = time, .event = EVENT_PORTMAP, .ends = ends, .portmap = { .proto = 6, .from = time }
	};

	snprintf(r.portmap.tenant, sizeof(r.portmap.tenant), "%s", tenant);
	cr_assert_eq(span_parse("10.0.0.5:80", &r.portmap.in), 0);
	cr_assert_eq(span_parse("1.1.1.0:80", &r.portmap.out), 0);
	told_put(r);
}

/* The address goes to another tenant with its pool: whoever had the port before is another subscriber. */
Test(history_tenants, a_portmap_to_the_same_endpoint_of_another_tenant_is_another_one)
{
	told_put_start(100, TIME_NONE);
	put(100, EVENT_ADD, of_tenant("ispA", "10.0.0.0/24", "1.1.1.0/32", 100));
	put_portmap(100, "ispA", false);
	told_put_confirm(100);
	put(200, EVENT_DEL, of_tenant("ispA", "10.0.0.0/24", "1.1.1.0/32", 100));
	put(200, EVENT_ADD, of_tenant("ispB", "10.0.0.0/24", "1.1.1.0/32", 200));
	put_portmap(200, "ispA", true);
	put_portmap(200, "ispB", false);
	told_put_confirm(200);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_eq(x.portmaps.n, 2);
	cr_expect_str_eq(x.portmaps.interval[1].portmap.tenant, "ispB");
	cr_expect_str_eq(ask(&x, "1.1.1.0:80", 150), "10.0.0.5 of ispA");
	cr_expect_str_eq(ask(&x, "1.1.1.0:80", 250), "10.0.0.5 of ispB");
	history_index_free(&x);
}

/* A version that does not know tenants would take a prefix within another's for its exception. */
Test(history_tenants, records_of_tenants_are_for_readers_that_know_them)
{
	struct history_mapping m = of_tenant("ispA", A, 100);
	struct history_record list = { .time = 100, .event = EVENT_DAILY, .mappings = &m, .n_mappings = 1 };
	struct history_record add = { .line = 1, .time = 100, .event = EVENT_ADD, .mapping = m };

	cr_expect_eq(history_format_needed(&list), HISTORY_FORMAT_TENANTS);
	cr_expect(strstr(written(&list), "\"algorithm\":\"tenants\""));
	cr_expect(strstr(written(&add), "\"algorithm\":\"tenants\""));
	*m.tenant = '\0';
	cr_expect_eq(history_format_needed(&list), HISTORY_FORMAT_CONFIRMS);
	cr_expect(strstr(written(&list), "\"algorithm\":\"sequential\""));
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

	cr_assert_eq(lab_change(lab.history, del, n_del, add, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
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
	for (size_t i = 0; i < f.index.mappings.n; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", i ? " " : "",
			 f.index.mappings.interval[i].mapping.tenant);
	cr_expect_str_eq(said, wanted);
	cr_expect_eq(f.index.mappings.n_open, 1);
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

/* Without outside addresses, two tenants may have the same mapping. */
Test(history_tenants_written, both_have_an_untranslated_prefix)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB");
	struct history_files f;
	struct error err;

	a.out = b.out = PREFIX_NONE;
	change(NULL, 0, &a);
	change(NULL, 0, &b);
	cr_expect_str_eq(lab_events(), "start add confirm add confirm");
	change(&b, 1, &a);
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	cr_expect_eq(f.index.mappings.n_open, 1);
	cr_expect_str_eq(f.index.mappings.interval[f.index.mappings.open[0]].mapping.tenant, "ispA");
	history_files_free(&f);
}

static struct history_portmap portmap_of(const char *tenant)
{
	struct history_portmap m = { .proto = 6, .from = TIME_NONE };

	snprintf(m.tenant, sizeof(m.tenant), "%s", tenant);
	cr_assert_eq(span_parse("10.0.0.5:80", &m.in), 0);
	cr_assert_eq(span_parse("1.1.1.0:80", &m.out), 0);
	return m;
}

/* Killed between the record and the change of the tables: the portmap is still the first tenant's. */
Test(history_tenants_written, a_kill_takes_back_that_a_portmap_went_to_another_tenant)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB");
	struct history_portmap of_a = portmap_of("ispA"), of_b = portmap_of("ispB");
	const struct history_change first = { .add[FACT_PORTMAP] = { &of_a, 1 } },
				    second = { .del[FACT_PORTMAP] = { &of_a, 1 }, .add[FACT_PORTMAP] = { &of_b, 1 } };
	struct error err;

	cr_assert_eq(lab_change(lab.history, NULL, 0, &a, 1, &first, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	cr_assert_eq(lab_change(lab.history, &a, 1, &b, 1, &second, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(history_present(lab.history, FACT_PORTMAP, &of_a, 1), 0);
	cr_assert_eq(history_reconcile(lab.history, &a, 1, 0, &err), 0, "%s", err.text);
	cr_expect(history_holds(lab.history, FACT_MAPPING, &a, 1, &err), "%s", err.text);
	cr_expect(history_holds(lab.history, FACT_PORTMAP, &of_a, 1, &err), "%s", err.text);
	cr_expect_not(history_holds(lab.history, FACT_PORTMAP, &of_b, 1, &err));
	cr_expect_str_eq(lab_events(), "start add portmap confirm del add portmap portmap undo undo undo undo");
}

Test(history_tenants_written, tables_of_another_tenant_are_not_what_is_recorded)
{
	struct history_mapping a = lab_of("ispA"), b = lab_of("ispB"), unknown = lab_of("");
	struct error why;

	change(NULL, 0, &a);
	cr_expect(history_holds(lab.history, FACT_MAPPING, &a, 1, &why));
	cr_expect(history_holds(lab.history, FACT_MAPPING, &unknown, 1, &why));
	cr_expect_not(history_holds(lab.history, FACT_MAPPING, &b, 1, &why));
}
