/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast path asks a hint before the index. A second thread looks at the hint all the while: at no moment may it give
 * an exception's address to the mapping around it.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tables/mapping_tables.h"
#include "tables_fixture.h"

#define ROUNDS 60U

static const char IN[] = "10.0.0.8/29";

static struct datapath d;
static struct mappings *m;
static uint16_t around;
static atomic_bool over;
static atomic_ulong looks;

static void open_again(void)
{
	struct error err = { 0 };

	mappings_close(m);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

static void *watch(void *arg)
{
	const uint32_t addr = tables_addr("10.0.0.11");
	unsigned long wrong = 0;

	while (!atomic_load(&over)) {
		uint64_t hint = __atomic_load_n(&d.fib->inside, __ATOMIC_ACQUIRE);

		wrong += fib_hint_is(hint, addr) && (uint16_t)hint == around;
		atomic_fetch_add(&looks, 1);
	}
	return (void *)wrong;
}

static pthread_t watcher;

/* The exception has the lower half of the mapping's first addresses, so that without it all of them are hinted at. */
static void setup(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct mapping_spec homes = tables_spec("10.0.0.0/24", "1.1.0.0/28"), exception = tables_spec(IN, "2.0.0.0/32");

	tables_make(&d);
	d.drains = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "drains", sizeof(struct drain_key), sizeof(struct drain_entry),
				  MAX_DRAINS, &opts);
	cr_assert(d.drains >= 0);
	open_again();
	around = (uint16_t)(INDEX_LEAF | (unsigned)tables_add(m, &homes));
	tables_add(m, &exception);
	cr_assert_eq(pthread_create(&watcher, NULL, watch, NULL), 0);
	while (!atomic_load(&looks))
		;
}

static void expect_never_wrong(void)
{
	void *wrong;

	atomic_store(&over, true);
	cr_assert_eq(pthread_join(watcher, &wrong), 0);
	cr_expect_eq((unsigned long)wrong, 0, "%lu of %lu looks gave the exception's address to the mapping around it",
		     (unsigned long)wrong, atomic_load(&looks));
	cr_expect_eq((uint16_t)d.fib->inside, around, "the rest of that one is hinted at again");
}

TestSuite(mapping_hints, .init = setup, .timeout = 300);

static struct mapping_spec exception_of(unsigned round)
{
	struct mapping_spec spec = tables_spec(IN, "2.0.0.0/32");

	spec.out.base += round & 1;
	return spec;
}

Test(mapping_hints, give_no_address_away_that_a_change_holds)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct mapping_spec old = exception_of(round), new = exception_of(round + 1);

		mappings_hold(m, 0, old.in);
		cr_assert_eq(mappings_del_of(m, 0, old.in, old.out), 0);
		tables_add(m, &new);
		mappings_release(m);
		tables_reclaim(m);
	}
	expect_never_wrong();
}

Test(mapping_hints, give_no_address_away_where_a_mapping_replaces_another)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct mapping_spec old = exception_of(round), new = exception_of(round + 1);
		const struct mapping_handover how = { .replaces = true, .from = old.out, .drain_s = 60 };
		struct mapping_job *job;
		struct error err = { 0 };
		int r;

		cr_assert_eq(mappings_add_begin(m, &new, &job, &err), 0, "%s", err.text);
		while ((r = mappings_add_step(job, &err)) > 0)
			;
		cr_assert_eq(r, 0, "%s", err.text);
		cr_assert_eq(mappings_add_commit_with(job, &how), 0);
		cr_assert_eq(mappings_del_of(m, 0, old.in, old.out), 0);
		tables_reclaim(m);
	}
	expect_never_wrong();
}

Test(mapping_hints, give_no_address_away_while_an_agent_takes_over)
{
	for (unsigned round = 0; round < ROUNDS / 10; round++)
		open_again();
	expect_never_wrong();
}
