// SPDX-License-Identifier: BSD-2-Clause
/*
 * Traces where two tenants have the same inside addresses: the filter takes packets of the one that is wanted alone,
 * and records say whose they are. The one interface inside is of the one tenant or of the other.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <detnat/trace.h>

#include "icmp_frame.h"
#include "tenants_fixture.h"

static struct ring_buffer *ring;
static struct trace_record got;

static int keep(void *arg, void *data, size_t size)
{
	memcpy(&got, data, sizeof(got));
	return 0;
}

static void set_up_traced(void)
{
	setenv("TRACED", "1", 1);
	unsetenv("STAGES");
	set_up_shared();
	stay_on_one_core();
	ring = ring_buffer__new(datapath.trace_ring, keep, NULL, NULL);
	cr_assert_not_null(ring);
}

static void tear_down_traced(void)
{
	ring_buffer__free(ring);
	portmap_tear_down();
}

TestSuite(tenants_trace, .init = set_up_traced, .fini = tear_down_traced);

#define PORT OUT_PORT(7000, 2)
#define FAR  ADDR(192, 0, 2, 33) /* a router outside */

enum shape { OUT, STRAIGHT, TO_OTHERS_POOL, IN, ERROR, LATER, LATER_BACK, N_SHAPES };

static const char *const shape_names[N_SHAPES] = {
	"out", "between its inside addresses", "a hairpin", "in", "an error", "a later fragment", "one from outside"
};

static const uint32_t pool_of[] = { [FIRST] = POOL, [SECOND] = POOL_B };

/* A packet from a tenant's interface or, from outside, to its pool. */
static size_t build(enum shape shape, uint8_t tenant, enum hook hook, uint8_t *in)
{
	const struct frame frames[N_SHAPES] = {
		[OUT] = { FROM_HOST, UDP, 7000, 53, .payload = 20 },
		[STRAIGHT] = { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = SUBSCRIBER, UDP, 7000, 53 },
		[TO_OTHERS_POOL] = { .from = HOST,
				     .to = GATEWAY_IN,
				     .src = SUBSCRIBER,
				     .dst = pool_of[FIRST + SECOND - tenant],
				     UDP,
				     7000,
				     OUT_PORT(8000, 3) },
		[IN] = { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = pool_of[tenant], UDP, 53, PORT },
		[LATER] = { FROM_HOST, UDP, 7000, 53, .payload = 1000 },
		[LATER_BACK] = { .from = ROUTER,
				 .to = GATEWAY_OUT,
				 .src = EXTERNAL,
				 .dst = pool_of[tenant],
				 UDP,
				 53,
				 PORT,
				 .payload = 1000 },
	};
	const struct icmp_error e = {
		.src = FAR,
		.from = ROUTER,
		.to = GATEWAY_OUT,
		.dst = pool_of[tenant],
		3,
		1,
		.quote = { .src = pool_of[tenant], .dst = EXTERNAL, UDP, PORT, 53, .payload = 30 },
	};
	uint8_t whole[FRAME_MAX], out[FRAME_MAX];
	static uint16_t id = 100;
	size_t size, out_size;

	if (shape == ERROR)
		return icmp_error_build(&e, in);
	size = frame_build(&frames[shape], in);
	if (shape != LATER && shape != LATER_BACK)
		return size;
	memcpy(whole, in, size);
	size = frame_fragment(whole, ++id, 0, 400, true, in);
	run_frame(hook, in, size, out, &out_size);
	ring_buffer__consume(ring);
	return frame_fragment(whole, id, 400, 800, true, in);
}

static void set_filter(struct trace_filter f)
{
	uint32_t zero = 0;

	f.left = 9;
	cr_assert_eq(bpf_map_update_elem(datapath.trace_filter, &zero, &f, BPF_ANY), 0);
}

/* Runs a tenant's packet; the number of records of it. The last one is in got. */
static int traced(enum shape shape, uint8_t tenant, enum hook hook, struct trace_filter f)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	be(tenant);
	set_filter((struct trace_filter){ 0 });
	size = build(shape, tenant, hook, in);
	set_filter(f);
	run_frame(hook, in, size, out, &out_size);
	return ring_buffer__consume(ring);
}

static void open_both(void)
{
	for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++) {
		be(tenant);
		cr_assert_eq(open_flow(UDP, 7000, 53, 0), PORT);
	}
	ring_buffer__consume(ring);
}

static const struct {
	enum shape shape;
	enum hook hook;
} packets[] = {
	{ OUT, XDP_INSIDE },
	{ OUT, TC_OUTSIDE },
	{ OUT, INGRESS_INSIDE },
	{ STRAIGHT, XDP_INSIDE },
	{ STRAIGHT, INGRESS_INSIDE },
	{ IN, XDP_OUTSIDE },
	{ IN, INGRESS_OUTSIDE },
	{ ERROR, XDP_OUTSIDE },
	{ ERROR, INGRESS_OUTSIDE },
	{ LATER, XDP_INSIDE },
	{ LATER_BACK, XDP_OUTSIDE },
	{ LATER_BACK, INGRESS_OUTSIDE },
	{ TO_OTHERS_POOL, XDP_INSIDE },
};

Test(tenants_trace, a_filter_takes_packets_of_the_tenant_that_is_wanted_alone)
{
	open_both();
	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++)
		for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++)
			for (uint8_t wanted = 0; wanted <= SECOND; wanted++) {
				struct trace_filter f = { .in = { SUBSCRIBER }, .tenant = wanted };
				int n = traced(packets[i].shape, tenant, packets[i].hook, f);

				cr_expect_eq(n, !wanted || wanted == tenant, "%s at hook %d, of %u, wanted %u: %d",
					     shape_names[packets[i].shape], packets[i].hook, tenant, wanted, n);
				cr_expect(!n || got.tenant == tenant, "%s at hook %d, of %u: %u",
					  shape_names[packets[i].shape], packets[i].hook, tenant, got.tenant);
			}
}

/* All of the tenant's hosts. Of a hairpin, the tenants of both ends. */
Test(tenants_trace, without_an_address_all_packets_of_a_tenant_are_taken)
{
	open_both();
	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++)
		for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++)
			for (uint8_t wanted = FIRST; wanted <= SECOND; wanted++) {
				struct trace_filter f = { .tenant = wanted };
				bool is = wanted == tenant || packets[i].shape == TO_OTHERS_POOL;

				cr_expect_eq(traced(packets[i].shape, tenant, packets[i].hook, f), is,
					     "%s at hook %d, of %u, wanted %u", shape_names[packets[i].shape],
					     packets[i].hook, tenant, wanted);
			}
}

/* The receiver of a hairpin, which both tenants' hosts call by the same inside address. */
Test(tenants_trace, a_hairpin_is_its_receivers_as_well)
{
	for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++) {
		const uint8_t other = FIRST + SECOND - tenant;
		struct trace_filter f = { .in = { OTHER }, .tenant = other };

		cr_expect_eq(traced(TO_OTHERS_POOL, tenant, XDP_INSIDE, f), 1, "to %u", other);
		cr_expect_eq(got.tenant, tenant);
		f.tenant = tenant;
		cr_expect_eq(traced(TO_OTHERS_POOL, tenant, XDP_INSIDE, f), 0, "not of that address of %u", tenant);
	}
}

Test(tenants_trace, steps_name_the_subscribers_tenant)
{
	open_both();
	for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++) {
		unsigned n = 0;

		cr_assert_eq(traced(IN, tenant, XDP_OUTSIDE, (struct trace_filter){ .in = { SUBSCRIBER } }), 1);
		for (unsigned i = 0; i < got.n_steps; i++) {
			if (got.step[i].kind != TRACE_subscriber)
				continue;
			cr_expect_eq(trace_step_tenant(&got.step[i]), tenant);
			cr_expect_eq((uint32_t)(got.step[i].a >> 32), SUBSCRIBER);
			n++;
		}
		cr_expect_gt(n, 0);
	}
}
