/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings within mappings: the longest inside prefix has the address, and gives it back when it goes. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_tables.h"
#include "rounds.h"
#include "tables_fixture.h"
#include <detnat/drains.h>

static struct datapath d;
static struct mappings *m;

static void open_again(void)
{
	struct error err = { 0 };

	mappings_close(m);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

static void setup(void)
{
	tables_make(&d);
	open_again();
}

TestSuite(mappings_nested, .init = setup, .timeout = 300);

static int add(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	return tables_add(m, &spec);
}

static int add_untranslated(const char *in)
{
	struct mapping_spec spec = tables_spec(in, "0.0.0.0/0");

	spec.out = PREFIX_NONE;
	return tables_add(m, &spec);
}

static int add_open(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	spec.open = true;
	spec.session_slots = 0;
	return tables_add(m, &spec);
}

static void del(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	cr_assert_eq(mappings_del_of(m, 0, spec.in, spec.out), 0);
}

static int found(const char *addr)
{
	return mappings_find_any(m, tables_addr(addr));
}

/* What the datapath finds, which knows nothing of what the agent keeps beside the tables: a number, or -1. */
static int shown(uint32_t addr)
{
	uint16_t entry = d.in_nodes[addr >> 24].entry[addr >> 16 & 255];

	if (entry && !(entry & INDEX_LEAF))
		entry = d.in_nodes[entry].entry[addr >> 8 & 255];
	if (entry && !(entry & INDEX_LEAF))
		entry = d.in_nodes[entry].entry[addr & 255];
	return entry ? (int)(entry & ~INDEX_LEAF) : -1;
}

Test(mappings_nested, the_longest_prefix_has_the_address_and_gives_it_back)
{
	int a = add("10.0.0.0/14", "1.1.0.0/24"), b = add("10.1.2.0/24", "2.0.0.0/28"),
	    c = add("10.1.2.0/32", "2.0.1.0/32");

	for (unsigned restart = 0; restart < 2; restart++) {
		cr_expect_eq(found("10.0.0.0"), a);
		cr_expect_eq(found("10.1.1.255"), a);
		cr_expect_eq(found("10.1.2.0"), c);
		cr_expect_eq(found("10.1.2.1"), b);
		cr_expect_eq(found("10.1.3.0"), a);
		cr_expect_eq(mappings_around(m, 0, tables_spec("10.1.2.0/32", "2.0.1.0/32").in), b);
		cr_expect_eq(mappings_around(m, 0, tables_spec("10.0.0.0/14", "1.1.0.0/24").in), -ENOENT);
		open_again();
	}
	del("10.1.2.0/24", "2.0.0.0/28");
	cr_expect_eq(found("10.1.2.0"), c);
	cr_expect_eq(found("10.1.2.1"), a);
	del("10.1.2.0/32", "2.0.1.0/32");
	cr_expect_eq(found("10.1.2.0"), a);
	c = add("10.1.2.0/32", "2.0.1.0/32");
	del("10.0.0.0/14", "1.1.0.0/24");
	cr_expect_eq(found("10.1.2.0"), c);
	cr_expect_eq(found("10.1.2.1"), -ENOENT);
	a = add("10.0.0.0/14", "1.1.0.0/24");
	cr_expect_eq(found("10.1.2.0"), c);
	cr_expect_eq(found("10.1.2.1"), a);
}

Test(mappings_nested, equal_prefixes_are_refused)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "2.0.0.0/28");
	struct mapping_job *job;
	struct error err;

	add("10.0.0.0/24", "1.1.1.0/28");
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
	while (mappings_add_step(job, &err) > 0)
		;
	cr_assert_eq(mappings_add_commit_with(job, &(struct mapping_handover){ 0 }), -EEXIST);
	mappings_add_abort(job);
}

Test(mappings_nested, subscribers_are_iterated_by_runs_of_addresses)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28"), b = add("10.0.0.16/28", "2.0.0.0/28");
	uint64_t first, last;

	add_open("10.0.0.64/26", "3.0.0.0/26");
	add_untranslated("10.0.0.192/26");
	cr_expect_eq(mappings_next_inside(m, 0, &first, &last), a);
	cr_expect(first == tables_addr("10.0.0.0") && last == tables_addr("10.0.0.15"));
	cr_expect_eq(mappings_next_inside(m, last + 1, &first, &last), b);
	cr_expect(first == tables_addr("10.0.0.16") && last == tables_addr("10.0.0.31"));
	cr_expect_eq(mappings_next_inside(m, last + 1, &first, &last), a);
	cr_expect(first == tables_addr("10.0.0.32") && last == tables_addr("10.0.0.63"));
	cr_expect_eq(mappings_next_inside(m, last + 1, &first, &last), a, "open ones have no sessions");
	cr_expect(first == tables_addr("10.0.0.128") && last == tables_addr("10.0.0.191"));
	cr_expect_eq(mappings_next_inside(m, last + 1, &first, &last), -1);
}

/* The hint is tried before the index: it must not answer for an address that another mapping has. */
Test(mappings_nested, no_hint_answers_for_an_exception)
{
	int a = add("10.0.0.0/20", "1.1.0.0/24");

	cr_expect(fib_hint_is(d.fib->inside, tables_addr("10.0.0.0")));
	cr_expect(fib_hint_is(d.fib->inside, tables_addr("10.0.15.255")));
	for (unsigned i = 0; i < 64; i++) {
		struct mapping_spec spec = tables_spec("10.0.0.0/32", "9.0.0.0/32");

		spec.in.base += i * 61 % 4096;
		spec.out.base += i;
		if (i % 3 == 0)
			spec.out = PREFIX_NONE;
		tables_add(m, &spec);
		for (uint32_t addr = tables_addr("10.0.0.0"); addr < tables_addr("10.0.16.0"); addr++)
			if (fib_hint_is(d.fib->inside, addr))
				cr_assert_eq(shown(addr), a, "%08x", addr);
		cr_assert_eq((uint16_t)d.fib->inside, INDEX_LEAF | (unsigned)a);
	}
}

Test(mappings_nested, where_nothing_is_translated_the_datapath_finds_no_mapping)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28"), b = add_untranslated("10.0.0.64/26"),
	    c = add("10.0.0.65/32", "2.0.0.1/32");

	for (unsigned restart = 0; restart < 2; restart++) {
		cr_expect_eq(found("10.0.0.64"), b);
		cr_expect_eq(shown(tables_addr("10.0.0.64")), -1);
		cr_expect_eq(shown(tables_addr("10.0.0.65")), c);
		cr_expect_eq(shown(tables_addr("10.0.0.63")), a);
		cr_expect_eq(shown(tables_addr("10.0.0.128")), a);
		open_again();
	}
	cr_assert_eq(mappings_del_of(m, 0, tables_spec("10.0.0.64/26", "0.0.0.0/0").in, PREFIX_NONE), 0);
	open_again();
	cr_expect_eq(found("10.0.0.64"), a);
	cr_expect_eq(shown(tables_addr("10.0.0.64")), a);
	cr_expect_eq(shown(tables_addr("10.0.0.65")), c);
	b = add_untranslated("10.0.0.0/8");
	open_again();
	cr_expect_eq(found("10.1.0.0"), b);
	cr_expect_eq(shown(tables_addr("10.1.0.0")), -1);
	cr_expect_eq(shown(tables_addr("10.0.0.1")), a);
}

static int enter_untranslated(const char *addr, unsigned plen)
{
	const struct tenant_prefix_key key = { TENANT_BITS + plen, 0, htonl(tables_addr(addr)) };
	const uint32_t none = 0;

	return bpf_map_update_elem(d.untranslated, &key, &none, BPF_ANY);
}

static bool is_untranslated_of(uint8_t tenant, const char *addr)
{
	const struct tenant_prefix_key key = { TENANT_BITS + 32, htonl(tenant), htonl(tables_addr(addr)) };
	uint32_t value;

	return !bpf_map_lookup_elem(d.untranslated, &key, &value);
}

static bool is_untranslated(const char *addr)
{
	return is_untranslated_of(0, addr);
}

Test(mappings_nested, an_untranslated_prefix_is_so_for_its_own_tenant)
{
	struct mapping_spec spec = tables_spec("10.0.0.64/26", "0.0.0.0/0");

	add("10.0.0.0/24", "1.1.0.0/28");
	spec.out = PREFIX_NONE;
	spec.tenant = 200;
	tables_add(m, &spec);
	cr_expect(is_untranslated_of(200, "10.0.0.65"));
	cr_expect_not(is_untranslated_of(0, "10.0.0.65"));
	cr_expect_not(is_untranslated_of(72, "10.0.0.65"));
	spec.tenant = 0;
	cr_assert_eq(mappings_update(m, &spec), 0);
	cr_expect(is_untranslated("10.0.0.65"));
	cr_expect_not(is_untranslated_of(200, "10.0.0.65"));
	spec.tenant = 200;
	cr_assert_eq(mappings_update(m, &spec), 0);
	open_again();
	cr_expect(is_untranslated_of(200, "10.0.0.65"));
	cr_expect_not(is_untranslated("10.0.0.65"));
	cr_assert_eq(mappings_del_of(m, 0, spec.in, spec.out), 0);
	cr_expect_not(is_untranslated_of(200, "10.0.0.65"));
}

/* An agent was killed between the map and the index, in either direction. */
Test(mappings_nested, the_map_of_what_is_not_translated_agrees_with_the_mappings_after_a_start)
{
	const struct tenant_prefix_key kept = { TENANT_BITS + 26, 0, htonl(tables_addr("10.0.0.64")) };

	add("10.0.0.0/24", "1.1.0.0/28");
	add_untranslated("10.0.0.64/26");
	cr_expect(is_untranslated("10.0.0.65"));
	cr_expect(!is_untranslated("10.0.0.63"));
	for (unsigned i = 0; i < 700; i++)
		cr_assert_eq(enter_untranslated("10.1.0.0", 16 + i % 16), 0);
	for (unsigned i = 0; i < 700; i++) {
		char addr[16];

		snprintf(addr, sizeof(addr), "10.%u.%u.1", 2 + i / 256, i % 256);
		cr_assert_eq(enter_untranslated(addr, 32), 0);
	}
	cr_assert_eq(bpf_map_delete_elem(d.untranslated, &kept), 0);
	open_again();
	cr_expect(is_untranslated("10.0.0.65"));
	cr_expect(!is_untranslated("10.1.0.1"));
	for (unsigned i = 0; i < 700; i++) {
		char addr[16];

		snprintf(addr, sizeof(addr), "10.%u.%u.1", 2 + i / 256, i % 256);
		cr_expect(!is_untranslated(addr), "%s", addr);
	}
}

Test(mappings_nested, an_untranslated_address_is_so_until_its_mapping_goes)
{
	add_untranslated("10.0.0.64/26");
	cr_expect(is_untranslated("10.0.0.65"));
	cr_assert_eq(mappings_del_of(m, 0, tables_spec("10.0.0.64/26", "0.0.0.0/0").in, PREFIX_NONE), 0);
	cr_expect(!is_untranslated("10.0.0.65"));
}

static unsigned ended;
static uint32_t ended_out;

static int on_close(const struct session *s, void *arg)
{
	ended++;
	ended_out = s->out_addr;
	return 0;
}

static struct session session_to(uint32_t ext, uint16_t out_port)
{
	return (struct session){ .ext_addr = ext,
				 .ext_port = 53,
				 .in_port = 5000,
				 .out_port = out_port,
				 .proto = IPPROTO_UDP,
				 .state = SESSION_UDP };
}

Test(mappings_nested, sessions_in_the_enclosing_mapping_end_and_are_told)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28");
	struct session slot = session_to(1, 1030), beyond = session_to(2, 1031);
	uint32_t x = tables_addr("10.0.0.1"), y = tables_addr("10.0.0.2");

	sessions_on_close(m, on_close, NULL);
	for (unsigned k = 0; k < 2; k++) {
		beyond.out_port = (uint16_t)(1031 + k);
		tables_put(m, k ? y : x, 3, &slot, 100000);
		tables_put_beyond(m, k ? y : x, &beyond, 100000);
	}
	add("10.0.0.1/32", "2.0.0.1/32");
	tables_reclaim(m);
	cr_expect_eq(ended, 2);
	cr_expect_eq(ended_out, tables_addr("1.1.0.0"));
	cr_expect(tables_zero(mappings_buckets(m, a, 1), 4 * sizeof(struct bucket)) ||
		  !((struct slot *)mappings_buckets(m, a, 1))[3].truth);
	cr_expect_eq(mappings_subscriber(m, a, 1)->sessions, 0);
	cr_expect_eq(mappings_subscriber(m, a, 2)->sessions, 2, "others keep theirs");
	cr_expect_eq(tables_beyond(&d), 1);

	/* And those of the exception, when it goes. */
	tables_put(m, x, 3, &slot, 100000);
	tables_put_beyond(m, x, &beyond, 100000);
	del("10.0.0.1/32", "2.0.0.1/32");
	tables_reclaim(m);
	cr_expect_eq(ended, 4);
	cr_expect_eq(ended_out, tables_addr("2.0.0.1"));
	cr_expect_eq(tables_beyond(&d), 1);
	cr_expect_eq(mappings_subscriber(m, a, 1)->sessions, 0);
}

Test(mappings_nested, sessions_that_an_agent_has_not_ended_end_with_the_next)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28");
	struct session slot = session_to(1, 1030), beyond = session_to(2, 1031);
	uint32_t x = tables_addr("10.0.0.1");

	tables_put(m, x, 3, &slot, 100000);
	tables_put_beyond(m, x, &beyond, 100000);
	add("10.0.0.1/32", "2.0.0.1/32");
	open_again(); /* without a step in between */
	tables_reclaim(m);
	cr_expect_eq(mappings_subscriber(m, a, 1)->sessions, 0);
	cr_expect_eq(((struct slot *)mappings_buckets(m, a, 1))[3].truth, 0);
	cr_expect_eq(tables_beyond(&d), 0);
}

Test(mappings_nested, the_next_agent_gives_back_what_a_retired_exception_still_has)
{
	const struct prefix in = { tables_addr("10.0.0.16"), 28 }, out = { tables_addr("2.0.0.1"), 32 };
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	d.drains = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "drains", sizeof(struct drain_key), sizeof(struct drain_entry),
				  MAX_DRAINS, &opts);
	cr_assert(d.drains >= 0);

	int a = add("10.0.0.0/24", "1.1.0.0/28"), b = add("10.0.0.16/28", "2.0.0.1/32");
	struct session slot = session_to(1, 1030);

	tables_put(m, tables_addr("10.0.0.1"), 3, &slot, 100000);
	cr_assert_eq(mappings_retire(m, in, out, 600), 0);
	/* As it was before its addresses were given back. */
	cr_assert_eq(prefix_index_insert(&m->in, 0, in, (unsigned)b), 0);
	open_again();
	cr_assert_eq(mappings_find_any(m, tables_addr("10.0.0.1")), a);
	cr_expect_neq(((struct slot *)mappings_buckets(m, a, 1))[3].truth, 0, "the session goes on");
	cr_expect_eq(mappings_find_any(m, tables_addr("10.0.0.17")), a);
	cr_expect_eq(shown(tables_addr("10.0.0.17")), a);
	cr_expect(mappings_is_retired(m, b));
}

/* Sessions opened after the exception has gone are those of the mapping. */
Test(mappings_nested, an_exception_that_goes_at_once_ends_no_later_session)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28");
	struct session slot = session_to(1, 1030);

	add("10.0.0.1/32", "2.0.0.1/32");
	del("10.0.0.1/32", "2.0.0.1/32");
	tables_put(m, tables_addr("10.0.0.1"), 3, &slot, 100000);
	tables_reclaim(m);
	cr_expect_eq(mappings_subscriber(m, a, 1)->sessions, 1);
}

/* Prefixes of all lengths within each other, and of all kinds. */
static struct mapping_spec spec_of(unsigned i)
{
	static const unsigned plens[] = { 12, 14, 16, 17, 20, 23, 24, 25, 28, 30, 32 };
	struct mapping_spec spec = tables_spec("20.0.0.0/32", "40.0.0.0/32");

	spec.in.plen = (uint8_t)plens[i % ARRAY_SIZE(plens)];
	spec.in.base = (tables_addr("20.5.6.7") + (i / ARRAY_SIZE(plens)) * 0x00010203) & prefix_mask(spec.in.plen);
	spec.out.plen = spec.in.plen < 20 ? spec.in.plen + 10 : spec.in.plen;
	spec.out.base = tables_addr("40.0.0.0") + (i << 18);
	spec.session_slots = 8;
	if (i % 5 == 3 && spec.in.plen >= 20) {
		spec.out = PREFIX_NONE;
	} else if (i % 5 == 4 && spec.in.plen >= 20) {
		spec.open = true;
		spec.session_slots = 0;
	}
	return spec;
}

#define N_SPECS 33U

static unsigned *changes;

static bool may_add(const struct mapping_spec *spec)
{
	for (int n = mappings_next(m, 0); n >= 0; n = mappings_next(m, n + 1))
		if (mappings_get(m, n)->geo.in_base == spec->in.base &&
		    mappings_get(m, n)->geo.in_plen == spec->in.plen)
			return false;
	return true;
}

static void change_until_killed(unsigned seed)
{
	srandom(seed);
	for (;;) {
		struct mapping_spec spec = spec_of((unsigned)random() % N_SPECS);

		if (mappings_find(m, spec.in, spec.out) >= 0)
			mappings_del_of(m, 0, spec.in, spec.out);
		else if (may_add(&spec))
			tables_add(m, &spec);
		for (long n = random() % 4; n; n--)
			mappings_reclaim_step(m);
		__atomic_fetch_add(changes, 1, __ATOMIC_RELAXED);
	}
}

/* Every address is found in the longest of the prefixes that are there, by the agent and by the datapath. */
static void check_addresses(void)
{
	for (uint32_t addr = tables_addr("19.255.255.0"); addr < tables_addr("20.16.1.0"); addr += 1 + addr % 7) {
		int best = -1;

		for (unsigned k = 0; k < m->n_live; k++)
			if (m->order[k].first <= addr && addr <= m->order[k].last &&
			    (best < 0 ||
			     m->order[k].last - m->order[k].first < mappings_get(m, best)->geo.last_subscriber))
				best = m->order[k].number;
		if (mappings_find_any(m, addr) != (best < 0 ? -ENOENT : best))
			cr_assert_fail("%08x", addr);
		if (shown(addr) != (best >= 0 && mappings_get(m, best)->geo.out_plen == PLEN_NONE ? -1 : best))
			cr_assert_fail("%08x: %d, not %d", addr, shown(addr), best);
	}
}

Test(mappings_nested, a_killed_agent_leaves_whole_mappings_or_none)
{
	unsigned seen = 0;

	changes = mmap(NULL, sizeof(*changes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(changes, MAP_FAILED);
	for (unsigned round = 0; round < rounds_of(60) || (seen <= rounds_of(10) && round < 600); round++) {
		int status;
		pid_t child;

		*changes = 0;
		child = fork();
		if (!child)
			change_until_killed(round);
		cr_assert_gt(child, 0);
		while (__atomic_load_n(changes, __ATOMIC_RELAXED) < round % 30 && !waitpid(child, &status, WNOHANG))
			usleep(200);
		usleep(round * 7919 % 60 * 100);
		kill(child, SIGKILL);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child failed");
		open_again();
		check_addresses();
		seen += mappings_next(m, 0) >= 0;
	}
	cr_assert_gt(seen, rounds_of(10));
}

Test(mappings_nested, a_thousand_exceptions_are_there_after_a_restart)
{
	int a = add("10.0.0.0/16", "1.1.0.0/24");

	for (unsigned i = 0; i < 999; i++) {
		struct mapping_spec spec = tables_spec("10.0.0.0/32", "9.0.0.0/32");

		spec.in.base += i * 65;
		spec.out.base += i;
		tables_add(m, &spec);
	}
	open_again();
	for (unsigned i = 0; i < 999; i++) {
		cr_assert_neq(mappings_find_any(m, tables_addr("10.0.0.0") + i * 65), a);
		cr_assert_eq(mappings_find_any(m, tables_addr("10.0.0.1") + i * 65), a);
	}
	cr_assert_eq(m->n_live, 1000);
}
