/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions in extents pass between two gateways by their endpoints: the other one has them in its overflow. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <detnat/extents.h>

#include "base/clock.h"
#include "overflow_fixture.h"

#define BUCKETS 64U

/* The host's, at first and after a move: first bucket, and log2 of their number. */
#define EXTENT	extent_of(4, 2)
#define ANOTHER extent_of(32, 4)

static void make_extents(struct gateway *g)
{
	const struct bpf_map_create_opts opts = { .sz = sizeof(opts), .map_flags = BPF_F_MMAPABLE };
	struct datapath *d = &g->d;

	d->extents =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "extents", sizeof(uint32_t), sizeof(struct bucket), BUCKETS, &opts);
	cr_assert_geq(d->extents, 0);
	d->extents_size = BUCKETS * sizeof(struct bucket);
	d->extent = mmap(NULL, d->extents_size, PROT_READ | PROT_WRITE, MAP_SHARED, d->extents, 0);
	cr_assert_neq(d->extent, MAP_FAILED);
	d->pool = calloc(1, sizeof(*d->pool));
	cr_assert_not_null(d->pool);
	d->pool->next = BUCKETS;
	d->pool->used = extent_buckets(EXTENT);
	d->settings.extent_buckets = BUCKETS;
	mappings_subscriber(g->m, g->number, HOST)->hairpins = EXTENT << EXTENT_AT;
	copy_program_unload(&g->opener);
	cr_assert_eq(copy_program_load(&g->opener, d), 0);
}

static void make_pair(void)
{
	pair_make();
	make_extents(&a);
	make_extents(&b);
}

static void free_pair(void)
{
	struct gateway *const both[] = { &a, &b };

	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		munmap(both[i]->d.extent, both[i]->d.extents_size);
		close(both[i]->d.extents);
		free(both[i]->d.pool);
		both[i]->d.extent = NULL;
		both[i]->d.pool = NULL;
	}
	pair_free();
}

TestSuite(copying_extents, .init = make_pair, .fini = free_pair, .timeout = 300);

static uint64_t key_of(uint16_t in_port)
{
	return slot_key(0xc6336407, 443, in_port);
}

static uint32_t offset_of(const struct gateway *g, uint16_t in_port)
{
	return mapping_first_choice(&mappings_get(g->m, g->number)->geo, in_port);
}

static struct slot *place(struct gateway *g, uint32_t extent, uint16_t in_port)
{
	const struct bucket_pair pair = extent_pair(extent, key_of(in_port), IPPROTO_TCP, offset_of(g, in_port));

	return &g->d.extent[pair.first].slot[offset_of(g, in_port) % BUCKET_SLOTS];
}

/* A connection to the peer of those of overflow_fixture.h, on the port of an inside port's first choice. */
static struct slot *open_in_extent(struct gateway *g, uint16_t in_port)
{
	struct subscriber *s = mappings_subscriber(g->m, g->number, HOST);
	struct slot *slot = place(g, EXTENT, in_port);

	slot->key = key_of(in_port);
	slot->truth =
		state_word(first_port(g, HOST, in_port), IPPROTO_TCP, SESSION_ESTABLISHED, datapath_ticks(&g->d) - 40);
	s->displaced = ~0U;
	s->sessions++;
	return slot;
}

/* Passes of both, and another try of what waits, until nothing changes any more. */
static void settle(void)
{
	struct gateway *const both[] = { &a, &b };

	for (unsigned round = 0; round < 3; round++) {
		exchange(&a, &b);
		for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
			struct gateway *g = both[i];
			uint32_t at = 0;

			for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &g->c->waiting, &at));)
				e->tick -= ticks_of_seconds(40, g->d.hz);
			cr_assert_eq(copying_retry(g->c, 1, &g->counts), 0);
		}
	}
}

/* One of two gateways has the session as its own, and the other one as a copy in its overflow. */
static void expect_copy_at(struct gateway *copy, struct gateway *own, uint16_t in_port)
{
	struct overflow_session s;

	cr_expect_eq(copying_held(copy->c, 1), 1);
	cr_expect_eq(copying_held(own->c, 1), 0);
	cr_expect_eq(copying_told(own->c), 1);
	cr_expect_eq(copying_told(copy->c), 0);
	cr_expect(word_is_free(place(copy, EXTENT, in_port)->truth));
	cr_assert(beyond_entry(copy, in_port, &s));
	cr_expect_eq(word_out_port(s.truth), first_port(copy, HOST, in_port));
	cr_expect_eq(mappings_subscriber(copy->m, copy->number, HOST)->sessions, 1);
	cr_expect_eq(mappings_subscriber(own->m, own->number, HOST)->sessions, 1);
	pair_sound();
}

Test(copying_extents, a_session_its_states_and_its_end_are_told)
{
	struct overflow_session s;
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = open_in_extent(&a, 5000);
	exchange(&a, &b);
	cr_expect_eq(b.counts.placed, 1);
	expect_copy_at(&b, &a, 5000);
	slot->truth = word_with(slot->truth, SESSION_FIN_WAIT, word_seen(slot->truth));
	exchange(&a, &b);
	cr_expect_eq(b.counts.updated, 1);
	cr_assert(beyond_entry(&b, 5000, &s));
	cr_expect_eq(word_state(s.truth), SESSION_FIN_WAIT);
	/* As in a slot, it stays in time-wait. */
	slot->truth = word_with(slot->truth, SESSION_TIME_WAIT, word_seen(slot->truth));
	mappings_subscriber(a.m, a.number, HOST)->sessions--;
	exchange(&a, &b);
	cr_expect_eq(b.counts.ended, 1);
	cr_expect_eq(tables_overflow_entries(&b.d), 0);
	cr_expect_eq(copying_told(a.c), 0);
	pair_sound();
}

Test(copying_extents, whole_copies_have_them_and_what_one_lacks_has_ended)
{
	struct told lost = { 0 };
	struct slot *slot;

	slot = open_in_extent(&a, 5000);
	open_in_extent(&a, 5001);
	connect_gateways(&a, &b);
	cr_expect_eq(b.counts.placed, 2);
	cr_assert_eq(tables_overflow_entries(&b.d), 4);
	slot->truth = 0;
	mappings_subscriber(a.m, a.number, HOST)->sessions--;
	passes(&a, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	expect_copy_at(&b, &a, 5001);
}

Test(copying_extents, one_that_moves_to_another_extent_goes_on_even_if_it_does_so_while_it_is_looked_for)
{
	struct overflow_pass *o = &a.c->overflow_pass;
	struct told t = { 0 };
	struct slot *slot, *moved;

	connect_gateways(&a, &b);
	slot = open_in_extent(&a, 5000);
	exchange(&a, &b);
	/* A pass that has looked into the extents of this subscriber before the session came there. */
	moved = place(&a, ANOTHER, 5000);
	*moved = *slot;
	slot->truth = 0;
	mappings_subscriber(a.m, a.number, HOST)->hairpins = ANOTHER << EXTENT_AT;
	overflow_tolds_find(&a.c->overflow_told, &(struct overflow_id){ .key = key_of(5000),
									.subscriber = HOST,
									.mapping = (uint16_t)a.number,
									.out_port = first_port(&a, HOST, 5000),
									.proto = IPPROTO_TCP })
		->seen = false;
	o->step = OVERFLOW_ENDS;
	o->at = 0;
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_expect_eq(b.counts.ended, 0);
	expect_copy_at(&b, &a, 5000);
}

Test(copying_extents, a_gateway_takes_one_over_and_the_former_one_has_the_copy)
{
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = open_in_extent(&a, 5000);
	exchange(&a, &b);
	beyond_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	settle();
	cr_expect(word_is_free(slot->truth));
	expect_copy_at(&a, &b, 5000);
	/* And back, with a packet at the former one. */
	beyond_touch(&a, 5000, datapath_ticks(&a.d) - 12);
	settle();
	expect_copy_at(&b, &a, 5000);
	beyond_end(&a, 5000);
	settle();
	cr_expect_eq(tables_overflow_entries(&a.d) + tables_overflow_entries(&b.d), 0);
	pair_sound();
}

Test(copying_extents, of_one_that_both_have_opened_one_gateway_has_a_copy)
{
	static const bool yields[] = { true, false };

	for (unsigned i = 0; i < ARRAY_SIZE(yields); i++) {
		uint16_t port = (uint16_t)(5000 + i);

		connect_gateways(&a, &b);
		if (!yields[i])
			set_orders(&b, &a);
		open_in_extent(&a, port);
		open_in_extent(&b, port);
		settle();
		expect_copy_at(yields[i] ? &a : &b, yields[i] ? &b : &a, port);
		(yields[i] ? place(&b, EXTENT, port) : place(&a, EXTENT, port))->truth = 0;
		mappings_subscriber((yields[i] ? &b : &a)->m, a.number, HOST)->sessions--;
		settle();
		cr_expect_eq(tables_overflow_entries(&a.d) + tables_overflow_entries(&b.d), 0);
		pair_sound();
	}
}

/* The one in the extent is this gateway's, and the peer has its own in a slot. */
Test(copying_extents, one_that_the_peer_has_in_a_slot_yields_or_stays)
{
	static const bool yields[] = { true, false };

	for (unsigned i = 0; i < ARRAY_SIZE(yields); i++) {
		uint16_t port = (uint16_t)(5000 + i);
		uint32_t slot;

		connect_gateways(&a, &b);
		if (!yields[i])
			set_orders(&b, &a);
		open_in_extent(&a, port);
		slot = open_flow(&b, HOST, port, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		settle();
		cr_expect_eq(word_is_free(place(&a, EXTENT, port)->truth), yields[i]);
		cr_expect_eq(word_is_live(slot_at(&a, HOST, slot)->truth), yields[i], "a has a copy in a slot");
		cr_expect_eq(word_is_live(slot_at(&b, HOST, slot)->truth), yields[i], "b has its own still");
		cr_expect_eq(copying_held(a.c, 1), yields[i]);
		cr_expect_eq(copying_held(b.c, 1), !yields[i]);
		pair_sound();
		if (yields[i])
			end_session(&b, HOST, slot);
		settle();
	}
}

/* Two flows, one outside port towards one peer. */
Test(copying_extents, an_idle_one_gives_its_port_to_one_that_a_peer_announces)
{
	const uint16_t other = 5000 + 4032; /* with the first choice of 5000 */
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = open_in_extent(&b, 5000);
	slot->truth = word_with(slot->truth, SESSION_ESTABLISHED, datapath_ticks(&b.d) - 20 * b.d.hz);
	open_in_extent(&a, other);
	settle();
	cr_expect(word_is_free(slot->truth));
	expect_copy_at(&b, &a, other);
}

Test(copying_extents, an_end_that_a_peer_tells_ends_one_that_no_packet_has_used_since)
{
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = open_in_extent(&a, 5000);
	exchange(&a, &b);
	/* The peer takes it over and ends it before anyone hears of that. */
	beyond_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	slot->truth = word_with(slot->truth, SESSION_ESTABLISHED, datapath_ticks(&a.d) - 20 * a.d.hz);
	{
		struct told t = { 0 };

		pass(&b, &t);
		beyond_end(&b, 5000);
		passes(&b, &t);
		hear(&a, 1, &t);
	}
	settle();
	cr_expect(word_is_free(slot->truth));
	cr_expect_eq(tables_overflow_entries(&a.d) + tables_overflow_entries(&b.d), 0);
	cr_expect_eq(mappings_subscriber(a.m, a.number, HOST)->sessions, 0);
	pair_sound();
}
