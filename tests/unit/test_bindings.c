/* SPDX-License-Identifier: BSD-2-Clause */
/* Bindings: their memory as mappings change, and threads that race on their entries. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <detnat/binding.h>

#include "sessions/bound_ports.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

static struct datapath d;
static struct mappings *m;

static void setup(void)
{
	struct error err = { 0 };

	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

TestSuite(bindings, .init = setup, .timeout = 300);

static struct mapping_spec spec_with(uint8_t mapping)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	spec.bindings = (struct binding_layout){ .mapping = mapping, .filtering = mapping & 3, .inbound = 25 };
	return spec;
}

static void update(const struct mapping_spec *spec)
{
	struct error err = { 0 };
	int r = mappings_update_begin(m, spec, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	while ((r = mappings_update_step(m, spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_update(m, spec), 0);
}

Test(bindings, every_port_has_an_entry_of_its_own)
{
	struct mapping_spec spec = spec_with(BINDING_PROTOCOLS);
	int number = tables_add(m, &spec);
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };
	uint32_t ports = mappings_get(m, number)->geo.ports_per_host;

	for (uint32_t n = 0; n < 256; n += 51)
		for (size_t i = 0; i < 3; i++)
			for (uint32_t offset = 0; offset < ports; offset++) {
				uint64_t *entry = mappings_binding(m, number, n, protocols[i], offset);

				cr_assert_not_null(entry);
				cr_assert_eq(*entry, 0, "subscriber %u, port %u: another's entry", n, offset);
				*entry = 1;
			}
	/* None of them is the slot of a subscriber. */
	for (uint32_t n = 0; n < 256; n++)
		cr_assert(tables_zero(mappings_buckets(m, number, n),
				      sizeof(struct bucket) << mappings_get(m, number)->bucket_shift));
}

Test(bindings, turned_on_grown_and_off_in_place)
{
	struct mapping_spec spec = spec_with(0);
	int number = tables_add(m, &spec);

	cr_expect_null(mappings_binding(m, number, 7, IPPROTO_UDP, 3));
	spec = spec_with(BINDING_UDP);
	update(&spec);
	cr_expect_eq(d.mapping[number].bindings.protocols, BINDING_UDP);
	*mappings_binding(m, number, 7, IPPROTO_UDP, 3) = binding_entry(5, BINDING_BOUND, 1);
	cr_expect_null(mappings_binding(m, number, 7, IPPROTO_TCP, 3));
	/* Off: what is there stays where it is. */
	spec = spec_with(0);
	update(&spec);
	cr_expect_eq(d.mapping[number].bindings.mapping, 0);
	cr_expect_neq(*mappings_binding(m, number, 7, IPPROTO_UDP, 3), 0);
	/* One more protocol takes other memory, which is clean. */
	spec = spec_with(BINDING_TCP);
	update(&spec);
	cr_expect_eq(d.mapping[number].bindings.protocols, BINDING_UDP | BINDING_TCP);
	cr_expect_eq(d.mapping[number].bindings.mapping, BINDING_TCP);
	cr_expect_eq(*mappings_binding(m, number, 7, IPPROTO_UDP, 3), 0);
	*mappings_binding(m, number, 7, IPPROTO_TCP, 3) = binding_entry(5, BINDING_BOUND, 1);
	/* All of it goes with the mapping, and the next one finds none. */
	cr_assert_eq(mappings_del_of(m, 0, spec.in, spec.out), 0);
	tables_reclaim(m);
	spec = spec_with(BINDING_UDP | BINDING_TCP);
	number = tables_add(m, &spec);
	for (uint32_t n = 0; n < 256; n++)
		cr_assert_eq(*mappings_binding(m, number, n, IPPROTO_TCP, 3), 0);
}

Test(bindings, the_next_agent_finds_them)
{
	struct mapping_spec spec = spec_with(BINDING_UDP);
	struct error err = { 0 };
	int number = tables_add(m, &spec);

	*mappings_binding(m, number, 7, IPPROTO_UDP, 3) = binding_entry(5, BINDING_BOUND, 1);
	mappings_close(m);
	d.reused = true;
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	cr_expect_eq(*mappings_binding(m, number, 7, IPPROTO_UDP, 3), binding_entry(5, BINDING_BOUND, 1));
}

/* Puts a UDP session of subscriber 7 into a slot. */
static void put(int number, uint32_t slot, uint16_t in_port, uint32_t port_offset, uint16_t ext_port, uint32_t seen)
{
	const struct geometry *g = &mappings_get(m, number)->geo;
	struct session s = { .in_addr = tables_addr("10.0.0.7"),
			     .ext_addr = 1,
			     .in_port = in_port,
			     .ext_port = ext_port,
			     .proto = IPPROTO_UDP,
			     .state = SESSION_UDP };

	s.out_port = (uint16_t)(mapping_port_lo(g, 7) + port_offset);
	tables_put(m, s.in_addr, slot, &s, seen);
}

static uint64_t udp_entry(int number, uint32_t port_offset)
{
	return *mappings_binding(m, number, 7, IPPROTO_UDP, port_offset);
}

Test(bindings, one_more_protocol_takes_none_away)
{
	struct mapping_spec spec = spec_with(BINDING_UDP);
	int number = tables_add(m, &spec);
	uint64_t bound = binding_entry(5, BINDING_BOUND | BINDING_AWAY, 1000);
	struct binding_header *h;

	tables_set_ticks(&d, 1010);
	*mappings_binding(m, number, 7, IPPROTO_UDP, 8) = bound;
	put(number, 0, 80, 3, 53, 1005);
	spec = spec_with(BINDING_PROTOCOLS);
	update(&spec);
	cr_expect_eq(udp_entry(number, 8), bound);
	cr_expect_eq(udp_entry(number, 3), 0, "the datapath would have bound it");
	cr_expect_eq(*mappings_binding(m, number, 7, IPPROTO_TCP, 8), 0);
	/* What the outside has opened is still known. */
	spec = spec_with(BINDING_UDP);
	spec.in = (struct prefix){ tables_addr("10.0.1.0"), 24 };
	spec.out = (struct prefix){ tables_addr("1.1.2.0"), 28 };
	number = tables_add(m, &spec);
	h = (void *)(mappings_binding(m, number, 7, IPPROTO_UDP, 0) -
		     binding_header_lines(mappings_get(m, number)->bucket_shift) * PORT_GROUP);
	h->inbound = 1;
	h->imported = 1;
	*(uint8_t *)(h + 1) = 1;
	spec.bindings.mapping = BINDING_UDP | BINDING_ICMP;
	update(&spec);
	cr_expect_eq(mappings_inbound(m, number, 7), 1);
	cr_expect(mappings_slot_inbound(m, number, 7, 0));
	cr_expect_not(mappings_slot_inbound(m, number, 7, 1));
	h = (void *)(mappings_binding(m, number, 7, IPPROTO_UDP, 0) -
		     binding_header_lines(mappings_get(m, number)->bucket_shift) * PORT_GROUP);
	cr_expect_eq(h->imported, 0, "the datapath looks for sessions opened meanwhile");
}

Test(bindings, sessions_from_before_are_bound)
{
	struct mapping_spec spec = spec_with(0);
	int number = tables_add(m, &spec);

	tables_set_ticks(&d, 1010);
	put(number, 0, 80, 3, 53, 1005);
	/* The port is another's, and the inside port has one. */
	put(number, 1, 81, 3, 54, 1006);
	put(number, 2, 80, 4, 54, 1006);
	/* It has expired. */
	put(number, 3, 82, 5, 53, 1);
	put(number, 4, 83, 15, 53, 1007);
	for (int times = 0; times < 2; times++) {
		spec = spec_with(BINDING_UDP | BINDING_TCP);
		update(&spec);
		cr_expect_eq(udp_entry(number, 3), binding_entry(80, BINDING_BOUND, 1005));
		cr_expect_eq(udp_entry(number, 4), 0);
		cr_expect_eq(udp_entry(number, 5), 0);
		cr_expect_eq(udp_entry(number, 15), binding_entry(83, BINDING_BOUND, 1007));
		cr_expect_eq(*mappings_binding(m, number, 7, IPPROTO_TCP, 3), 0);
		cr_expect_eq(*mappings_binding(m, number, 6, IPPROTO_UDP, 3), 0);
		/* Off and on again: what was bound before is not. */
		*mappings_binding(m, number, 7, IPPROTO_UDP, 3) = binding_entry(9, BINDING_BOUND | BINDING_AWAY, 1009);
		*mappings_binding(m, number, 6, IPPROTO_UDP, 3) = binding_entry(9, BINDING_BOUND, 1009);
		spec = spec_with(0);
		update(&spec);
	}
}

/* The stamp of a TCP binding after a sweep, of which a connection in this state was seen 5 ticks after it. */
static uint32_t stamp_after_sweep(uint8_t state)
{
	struct mapping_spec spec = spec_with(BINDING_PROTOCOLS);
	uint32_t in_addr = tables_addr("10.0.0.7");
	int number = tables_add(m, &spec);
	const struct geometry *g = &mappings_get(m, number)->geo;
	struct session s = { .in_addr = in_addr, .ext_addr = 1, .in_port = 80, .ext_port = 2, .proto = IPPROTO_TCP };
	struct session_sweep *sweep;
	uint64_t *entry = mappings_binding(m, number, 7, IPPROTO_TCP, 3);

	tables_set_ticks(&d, 1010);
	*entry = binding_entry(80, BINDING_BOUND, 1000);
	s.out_port = (uint16_t)(mapping_port_lo(g, 7) + 3);
	s.state = state;
	tables_put(m, in_addr, 0, &s, 1005);
	cr_assert_eq(session_sweep_new(m, &sweep), 0);
	while (session_sweep_step(sweep, 1000, NULL, NULL))
		;
	session_sweep_free(sweep);
	return binding_seen(*entry);
}

Test(bindings, a_syn_from_outside_keeps_none_until_it_is_answered)
{
	cr_expect_eq(stamp_after_sweep(SESSION_SYN_RECEIVED), 1000);
}

Test(bindings, an_answered_syn_from_outside_keeps_one)
{
	cr_expect_eq(stamp_after_sweep(SESSION_SYN_RECEIVED_ANSWERED), 1005);
}

Test(bindings, a_reset_syn_from_outside_keeps_none)
{
	cr_expect_eq(stamp_after_sweep(SESSION_SYN_RECEIVED | SESSION_RESET), 1000);
}

/* Threads: openers under a lock, as in the datapath, and sweeps that raise stamps and remove what has expired. */

enum { IN_PORTS = 24, LIFE = 3 };

static struct binding_line line;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(uint32_t) now;
static atomic_bool stop;
static atomic_uint bound, raised, removed, lost;

static void expect_one_entry(uint16_t in_port)
{
	unsigned n = 0;

	for (unsigned k = 0; k < PORT_GROUP; k++)
		n += binding_is_of(LOAD(line.entry[k]), in_port);
	cr_assert_leq(n, 1, "inside port %u has %u ports", in_port, n);
}

static void open_port(uint16_t in_port)
{
	int at = -1;

	for (unsigned k = 0; k < PORT_GROUP; k++) {
		uint64_t entry = LOAD(line.entry[k]);

		if (binding_is_of(entry, in_port)) {
			binding_raise(&line.entry[k], now);
			return;
		}
		if (at < 0 && !binding_holds(entry, now, LIFE))
			at = (int)k;
	}
	if (at < 0)
		return;

	uint64_t entry = LOAD(line.entry[at]);

	if (!binding_holds(entry, now, LIFE) &&
	    binding_change(&line.entry[at], entry, binding_entry(in_port, BINDING_BOUND, now)))
		bound++;
	else
		lost++;
}

static void *opener(void *arg)
{
	uint64_t random = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL;

	while (!stop) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;

		/* One half of the ports at a time, so that the others expire. */
		uint16_t in_port = (uint16_t)(1000 + (now / 16 % 2) * (IN_PORTS / 2) + (random >> 33) % (IN_PORTS / 2));

		pthread_mutex_lock(&lock);
		open_port(in_port);
		expect_one_entry(in_port);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *sweeper(void *arg)
{
	while (!stop) {
		for (unsigned k = 0; k < PORT_GROUP; k++) {
			uint64_t entry = LOAD(line.entry[k]);

			if (binding_is_bound(entry) && binding_expired(entry, now, LIFE)) {
				removed += (unsigned)binding_change(&line.entry[k], entry, binding_freed(entry));
			} else if (binding_is_bound(entry) && binding_in_port(entry) % 2 && now & 8) {
				binding_raise(&line.entry[k], now - 1);
				raised++;
			}
		}
		now++;
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	}
	return arg;
}

Test(bindings, threads_never_give_an_inside_port_two_ports)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, i < 2 ? opener : sweeper, (void *)(i + 1)), 0);
	while (bound < 2000 || removed < 1000)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	stop = true;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_expect_gt(raised, 0);
}

Test(bindings, limits_of_what_the_outside_opens)
{
	cr_expect_eq(inbound_limit(25, 1000, 7), 250);
	cr_expect_eq(inbound_limit(25, 1000, 4), 32, "a quarter of 128 slots");
	cr_expect_eq(inbound_limit(1, 40, 4), 1);
	cr_expect_eq(inbound_limit(100, 65535, 8), 2048);
}

Test(bindings, stamps_never_go_back)
{
	uint64_t entry = binding_entry(5, BINDING_BOUND | BINDING_AWAY, 100);

	cr_expect_eq(binding_raised(entry, 99), entry);
	cr_expect_eq(binding_raised(entry, 101), binding_entry(5, BINDING_BOUND | BINDING_AWAY, 101));
	cr_expect_eq(binding_raised(binding_entry(5, 1, 0xffffffff), 2), binding_entry(5, 1, 2),
		     "past the end of the clock");
	cr_expect_eq(binding_freed(entry), binding_entry(0, BINDING_AWAY, 0));
}
