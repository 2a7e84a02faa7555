// SPDX-License-Identifier: BSD-2-Clause
/* The planner's rules: retiming, demand, replay, the assumption, and plans of files. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/binding.h>

#include "base/base.h"
#include "planner/plan_file.h"
#include "planner/planner.h"

static const struct planner_settings usual = { .quota = 1000,
					       .scale = 1,
					       .timeout_s = { [TIMEOUT_UDP] = 300,
							      [TIMEOUT_TCP_ESTABLISHED] = 7440,
							      [TIMEOUT_TCP_TRANSITORY] = 240,
							      [TIMEOUT_ICMP] = 60 } };

static void collect(struct collection *c, const char *text)
{
	struct traffic_notes notes;
	struct error err;
	int fd = memfd_create("traffic", 0);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	memcpy(c->timeout_s, usual.timeout_s, sizeof(c->timeout_s));
	cr_assert_eq(collection_read(c, fd, "FILE", 1700000000000LL, &notes, &err), 0, "%s", err.text);
	close(fd);
}

static struct planner_demand demand_of_text(const char *text, const struct planner_settings *s, struct collection *c)
{
	struct planner_demand d;
	struct error err;

	collection_init(c);
	collect(c, text);
	cr_assert_eq(planner_demand_read(c, s, &d, &err), 0, "%s", err.text);
	return d;
}

Test(planner, entries_of_a_table_that_detnat_would_have_ended_are_left_out)
{
	struct collection c;
	struct planner_demand d = demand_of_text(
		/* Idle for 1 s, for 2 h, and for 3 h: detnat ends a connection after 2 h 4 min. */
		"tcp 6 431999 ESTABLISHED src=100.64.0.1 dst=8.8.8.8 sport=1 dport=443 src=8.8.8.8 dst=1.1.1.1 "
		"sport=443 dport=1\n"
		"tcp 6 424800 ESTABLISHED src=100.64.0.1 dst=8.8.8.8 sport=2 dport=443 src=8.8.8.8 dst=1.1.1.1 "
		"sport=443 dport=2\n"
		"tcp 6 421200 ESTABLISHED src=100.64.0.1 dst=8.8.8.8 sport=3 dport=443 src=8.8.8.8 dst=1.1.1.1 "
		"sport=443 dport=3\n"
		"tcp 6 119 TIME_WAIT src=100.64.0.1 dst=8.8.8.8 sport=4 dport=443 src=8.8.8.8 dst=1.1.1.1 sport=443 "
		"dport=4\n",
		&usual, &c);

	cr_expect_eq(c.idle, 1);
	cr_expect_eq(d.subscribers, 1);
	cr_expect_eq(d.most[MOST_SESSIONS][0], 2);
	cr_expect_eq(d.most[MOST_BUSIEST][0], 2);
	cr_expect_eq(d.most[MOST_ENDPOINTS][0], 2);
	planner_demand_free(&d);
	collection_free(&c);
}

Test(planner, parts_of_a_flow_that_was_cut_are_one_session_if_the_gap_is_below_the_timeout)
{
	static const char text[] = "ts,te,sa,da,sp,dp,pr\n"
				   "2023-11-14 22:00:00,2023-11-14 22:01:00,100.64.0.1,8.8.8.8,1,53,UDP\n"
				   "2023-11-14 22:05:59,2023-11-14 22:06:30,100.64.0.1,8.8.8.8,1,53,UDP\n"
				   "2023-11-14 22:11:31,2023-11-14 22:11:31,100.64.0.1,8.8.8.8,1,53,UDP\n";
	struct collection c;
	struct planner_demand d = demand_of_text(text, &usual, &c);

	cr_expect_eq(d.sessions, 2);
	cr_expect_eq(d.most[MOST_SESSIONS][0], 1);
	planner_demand_free(&d);
	collection_free(&c);
}

Test(planner, a_connection_that_opens_and_closes_within_a_second_counts)
{
	static const char text[] = "ts,te,sa,da,sp,dp,pr,flg\n"
				   "2023-11-14 22:00:00,2023-11-14 22:00:00,100.64.0.1,8.8.8.8,1,53,TCP,...AP.SF\n";
	struct collection c;
	struct planner_demand d = demand_of_text(text, &usual, &c);

	cr_expect_eq(d.sessions, 1);
	cr_expect_eq(d.most[MOST_SESSIONS][0], 1);
	planner_demand_free(&d);
	collection_free(&c);
}

Test(planner, flows_are_oriented_by_the_inside_ranges_or_by_private_addresses)
{
	static const char text[] = "1700000001 udp 100.64.0.2:1 8.8.8.8:53\n1700000001 udp 8.8.8.8:53 100.64.0.2:1\n"
				   "1700000001 udp 8.8.8.8:53 9.9.9.9:1\n1700000001 udp 10.0.0.1:1 10.0.0.2:1\n";
	static const struct address_range in = { 0x0a000001, 0x0a000001 };
	struct collection c;

	collection_init(&c);
	collect(&c, text);
	cr_expect_eq(c.flows, 1);
	cr_expect_eq(c.towards, 1);
	cr_expect_eq(c.unclear, 2);
	collection_free(&c);
	c.in = &in;
	c.n_in = 1;
	collect(&c, text);
	cr_expect_eq(c.flows, 1);
	cr_expect_eq(c.towards, 0);
	cr_expect_eq(c.strangers, 3);
	c.in = NULL;
	c.n_in = 0;
	collection_free(&c);
}

/* So many flows of one subscriber towards one endpoint, or each towards its own. */
static size_t flows_to(struct plan_flow *flow, size_t n, bool apart)
{
	for (size_t i = 0; i < n; i++)
		flow[i] = (struct plan_flow){ .first_ms = 1700000000000LL + (int64_t)i * 10,
					      .last_ms = 1700000000000LL + (int64_t)i * 10,
					      .in_addr = 0x64400001,
					      .ext_addr = apart ? 0x08000000 + (uint32_t)i : 0x08080808,
					      .in_port = (uint16_t)(1024 + i * 7),
					      .ext_port = 53,
					      .proto = 17,
					      .state = SESSION_UDP };
	return n;
}

static struct replay_result replayed(struct replay_plan plan, const struct plan_flow *flow, size_t n)
{
	struct replay_result result = { 0 };
	struct replay *r;
	uint32_t ends[4096];
	size_t n_ends = 0;

	memcpy(plan.timeout_s, usual.timeout_s, sizeof(plan.timeout_s));
	for (size_t i = 0; i < n; i++)
		if (replay_ends(&flow[i]))
			ends[n_ends++] = (uint32_t)i;
	r = replay_new(&plan);
	cr_assert(r);
	cr_assert_eq(replay_subscriber(r, flow, n, ends, n_ends, &result, NULL), 0);
	replay_free(r);
	return result;
}

Test(planner, as_many_sessions_towards_one_endpoint_as_there_are_ports_and_no_more)
{
	struct plan_flow flow[200];
	struct replay_result r = replayed((struct replay_plan){ .ports = 126, .slots = 256, .quota = 1000 }, flow,
					  flows_to(flow, 200, false));

	cr_expect_eq(r.sessions, 200);
	cr_expect_eq(r.refused_ports, 74);
	cr_expect_eq(r.refused_quota, 0);
}

Test(planner, a_port_serves_many_destinations_unless_mapping_is_endpoint_independent)
{
	struct plan_flow flow[500];
	size_t n = flows_to(flow, 500, true);
	struct replay_plan plan = { .ports = 63, .slots = 128, .quota = 1000 };

	cr_expect_eq(replayed(plan, flow, n).refused_ports, 0);
	plan.bindings = BINDING_UDP;
	cr_expect_eq(replayed(plan, flow, n).refused_ports, 500 - 63);
	for (size_t i = 0; i < n; i++)
		flow[i].in_port = 5000;
	cr_expect_eq(replayed(plan, flow, n).refused_ports, 0);
}

Test(planner, the_quota_refuses_what_is_above_it_and_sessions_that_have_ended_give_way)
{
	struct plan_flow flow[300];
	size_t n = flows_to(flow, 300, true);
	struct replay_plan plan = { .ports = 1008, .slots = 1024, .quota = 100 };

	cr_expect_eq(replayed(plan, flow, n).refused_quota, 200);
	for (size_t i = 0; i < n; i++) {
		flow[i].proto = 6;
		flow[i].state = SESSION_TRANSITORY | SESSION_RESET;
		flow[i].last_ms += 1;
	}
	cr_expect_eq(replayed(plan, flow, n).refused_quota, 0);
	for (size_t i = 0; i < n; i++)
		flow[i].state = SESSION_TIME_WAIT;
	cr_expect_eq(replayed(plan, flow, n).refused_quota, 0);
	for (size_t i = 0; i < n; i++)
		flow[i].state = SESSION_ESTABLISHED;
	cr_expect_eq(replayed(plan, flow, n).refused_quota, 200);
}

Test(planner, sessions_end_by_their_timeouts_and_make_room)
{
	struct plan_flow flow[100];
	size_t n = flows_to(flow, 100, false);
	struct replay_plan plan = { .ports = 10, .slots = 128, .quota = 1000 };

	cr_expect_eq(replayed(plan, flow, n).refused_ports, 90);
	/* 40 s apart: of a timeout of 300 s, at most eight are there at once. */
	for (size_t i = 0; i < n; i++)
		flow[i].first_ms = flow[i].last_ms = 1700000000000LL + (int64_t)i * 40000;
	cr_expect_eq(replayed(plan, flow, n).refused_ports, 0);
}

Test(planner, flows_beyond_the_limit_of_memory_wait_in_a_file_and_give_the_same_figures)
{
	char *text = malloc(1 << 20), *at = text;
	struct collection small, large;
	struct planner_demand a, b;
	struct error err;

	for (unsigned i = 0; i < 8000; i++)
		at += sprintf(at, "%u udp 100.64.%u.%u:%u 8.8.8.8:53\n", 1700000000 + i / 10, i % 7, i % 250, 1024 + i);
	collection_init(&small);
	small.memory = 64 << 10;
	collect(&small, text);
	cr_assert_eq(planner_demand_read(&small, &usual, &a, &err), 0, "%s", err.text);
	cr_expect_geq(small.spill, 0);
	b = demand_of_text(text, &usual, &large);
	cr_expect_lt(large.spill, 0);
	cr_expect_eq(a.subscribers, b.subscribers);
	cr_expect_eq(a.sessions, b.sessions);
	cr_expect_arr_eq(a.most[MOST_SESSIONS], b.most[MOST_SESSIONS], a.subscribers * sizeof(uint32_t));
	planner_demand_free(&a);
	planner_demand_free(&b);
	collection_free(&small);
	collection_free(&large);
	free(text);
}

Test(planner, a_scale_multiplies_sessions)
{
	char *text = malloc(1 << 18), *at = text;
	struct planner_settings s = usual;
	struct collection c;
	struct planner_demand d;

	for (unsigned i = 0; i < 4000; i++)
		at += sprintf(at, "1700000000 udp 100.64.0.1:%u 8.8.8.%u:53\n", 1024 + i, i % 200);
	s.scale = 2.5;
	d = demand_of_text(text, &s, &c);
	cr_expect_gt(d.sessions, 9300);
	cr_expect_lt(d.sessions, 10100);
	planner_demand_free(&d);
	collection_free(&c);
	s.scale = 0.25;
	d = demand_of_text(text, &s, &c);
	cr_expect_gt(d.sessions, 850);
	cr_expect_lt(d.sessions, 1150);
	planner_demand_free(&d);
	collection_free(&c);
	free(text);
}

Test(planner, the_assumption_has_the_shares_of_its_sources)
{
	static const struct {
		uint32_t ports;
		double low, high;
	} rows[] = { { 4032, 0.00004, 0.00006 }, { 2016, 0.0002, 0.0003 }, { 1008, 0.00095, 0.00105 },
		     { 504, 0.0033, 0.0035 },	 { 252, 0.0095, 0.0105 },  { 126, 0.026, 0.028 },
		     { 63, 0.061, 0.064 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double share = planner_assumed_exceed(rows[i].ports, 1);

		cr_expect(share > rows[i].low && share < rows[i].high, "%u ports: %g", rows[i].ports, share);
	}
	cr_expect_float_eq(planner_assumed_exceed(2016, 2), planner_assumed_exceed(1008, 1), 1e-12);
}

static void plan_of(const char *text, struct plan_file *ret)
{
	char path[64];
	struct error err;
	int fd = memfd_create("plan", 0);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cr_assert_eq(plan_file_read(path, NULL, ret, &err), 0, "%s", err.text);
	close(fd);
}

Test(planner, a_plan_that_cannot_be_read_is_refused_by_the_key_at_fault)
{
	static const struct {
		const char *mapping, *why;
	} rows[] = {
		{ "\"in\":7,\"out\":\"192.0.2.0/28\"", "\"in\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":[7]", "\"out\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\",\"exclude\":7", "\"exclude\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\",\"order\":\"up\"", "\"order\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\",\"first_port\":65536", "\"first_port\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\",\"first_port\":-1", "\"first_port\" must be" },
		{ "\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\",\"first_port\":\"9\"", "\"first_port\" must be" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_file f;
		struct error err;
		char path[64], text[256];
		int fd = memfd_create("plan", 0), size;

		size = snprintf(text, sizeof(text), "{\"mappings\":[{%s}]}", rows[i].mapping);
		cr_assert_eq(write(fd, text, (size_t)size), size);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		cr_expect_lt(plan_file_read(path, NULL, &f, &err), 0, "%s", text);
		cr_expect_not_null(strstr(err.text, rows[i].why), "%s: %s", text, err.text);
		close(fd);
	}
}

Test(planner, the_last_port_may_be_the_first_of_a_plan)
{
	struct plan_file f;

	plan_of("{\"mappings\":[{\"in\":\"10.0.0.1\",\"out\":\"192.0.2.1\",\"first_port\":65535}]}", &f);
	plan_file_free(&f);
}

Test(planner, two_plans_are_compared_subscriber_by_subscriber)
{
	struct plan_file before, after;
	struct plan_changes c;

	plan_of("{\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\"}]}", &before);
	/* One has another address, eight in a row half the ports, and 16 are not translated any more. */
	plan_of("{\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/"
		"28\"},{\"in\":\"10.0.0.7\",\"out\":\"198.51.100.1\"},"
		"{\"in\":\"10.0.0.16/28\",\"out\":null},{\"in\":\"10.1.0.0/31\",\"out\":\"198.51.100.2\"}]}",
		&after);
	cr_assert_eq(plan_file_compare(&before, &after, NULL, NULL, &c), 0);
	cr_expect_eq(c.subscribers, 258);
	cr_expect_eq(c.moved, 1);
	cr_expect_eq(c.removed, 16);
	cr_expect_eq(c.added, 2);
	cr_expect_eq(c.kept, 239);
	plan_file_free(&after);
	plan_of("{\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/"
		"28\",\"ports_per_host\":4000,\"block_pitch\":4032}]}",
		&after);
	cr_assert_eq(plan_file_compare(&before, &after, NULL, NULL, &c), 0);
	cr_expect_eq(c.shifted, 256);
	plan_file_free(&after);
	plan_file_free(&before);
}

#define SHARED "{\"tenant\":\"%s\",\"in\":\"10.0.0.0/24\",\"out\":\"%s\"}"

/* A plan of one or two mappings of the same inside addresses. */
static void plan_shared(struct plan_file *ret, const char *tenant, const char *out, const char *tenant2,
			const char *out2)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "{\"mappings\":[" SHARED, tenant, out);

	if (tenant2)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "," SHARED, tenant2, out2);
	snprintf(text + n, sizeof(text) - (size_t)n, "]}");
	plan_of(text, ret);
}

static void note_change(void *arg, const char *tenant, uint32_t in_addr, const struct port_block *before,
			const struct port_block *after)
{
	snprintf(arg, LABEL_TEXT, "%s", tenant);
}

Test(planner, tenants_with_the_same_addresses_are_compared_each_with_itself)
{
	struct plan_file before, after;
	struct plan_changes c;
	char tenant[LABEL_TEXT] = "";

	plan_shared(&before, "ispA", "192.0.2.0/28", "ispB", "198.51.100.0/28");
	cr_assert_eq(before.n, 2);
	/* In another order, and one of them with other addresses. */
	plan_shared(&after, "ispB", "203.0.113.0/28", "ispA", "192.0.2.0/28");
	cr_assert_eq(plan_file_compare(&before, &after, note_change, tenant, &c), 0);
	cr_expect(c.subscribers == 512 && c.kept == 256 && c.moved == 256);
	cr_expect_str_eq(tenant, "ispB");
	plan_file_free(&after);
	/* What was the one's is the other's: nobody keeps it. */
	plan_shared(&after, "ispB", "192.0.2.0/28", "ispA", "198.51.100.0/28");
	cr_assert_eq(plan_file_compare(&before, &after, note_change, tenant, &c), 0);
	cr_expect(c.subscribers == 512 && c.moved == 512);
	plan_file_free(&after);
	plan_shared(&after, "ispC", "192.0.2.0/28", NULL, NULL);
	cr_assert_eq(plan_file_compare(&before, &after, note_change, tenant, &c), 0);
	cr_expect(c.subscribers == 768 && c.removed == 512 && c.added == 256);
	plan_file_free(&after);
	plan_file_free(&before);
}

Test(planner, subscribers_keep_their_addresses_where_a_plan_gets_tenants)
{
	struct plan_file without, with;
	struct plan_changes c;
	char tenant[LABEL_TEXT] = "";

	plan_of("{\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"198.51.100.0/28\"}]}", &without);
	plan_shared(&with, "ispA", "192.0.2.0/28", "ispB", "198.51.100.0/28");
	cr_assert_eq(plan_file_compare(&without, &with, note_change, tenant, &c), 0);
	cr_expect(c.subscribers == 512 && c.kept == 256 && c.added == 256);
	cr_expect_str_eq(tenant, "ispA");
	cr_assert_eq(plan_file_compare(&with, &without, note_change, tenant, &c), 0);
	cr_expect(c.subscribers == 512 && c.kept == 256 && c.removed == 256);
	plan_file_free(&with);
	plan_file_free(&without);
}

Test(planner, tenants_do_not_share_outside_addresses)
{
	static const char *const texts[] = {
		"{\"mappings\":["
		"{\"tenant\":\"a\",\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\"},"
		"{\"tenant\":\"b\",\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.8/29\"}]}",
		"{\"mappings\":["
		"{\"tenant\":\"a\",\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\"},"
		"{\"tenant\":\"a\",\"in\":\"10.0.0.0/24\",\"out\":\"192.0.3.0/28\"}]}",
		"{\"mappings\":[{\"tenant\":7,\"in\":\"10.0.0.0/24\",\"out\":\"192.0.2.0/28\"}]}",
	};
	static const char *const why[] = { "overlaps", "is the inside range of another mapping", "\"tenant\" must be" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct plan_file f;
		struct error err;
		char path[64];
		int fd = memfd_create("plan", 0);

		cr_assert_eq(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		cr_expect_lt(plan_file_read(path, NULL, &f, &err), 0);
		cr_expect_not_null(strstr(err.text, why[i]), "%s", err.text);
		close(fd);
	}
}
