// SPDX-License-Identifier: BSD-2-Clause
/* Which packets a trace's filter lets through: a table of filters, each with packets, and the counts that it keeps. */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <detnat/trace.h>

#include "icmp_frame.h"
#include "portmap_fixture.h"

static struct ring_buffer *ring;

static int ignore(void *arg, void *data, size_t size)
{
	return 0;
}

static void open_ring(void)
{
	stay_on_one_core();
	ring = ring_buffer__new(datapath.trace_ring, ignore, NULL, NULL);
	cr_assert_not_null(ring);
}

static void set_up_filters(void)
{
	setenv("TRACED", "1", 1);
	unsetenv("STAGES");
	portmap_set_up();
	open_ring();
}

static void tear_down_filters(void)
{
	ring_buffer__free(ring);
	portmap_tear_down();
}

TestSuite(trace_filters, .init = set_up_filters, .fini = tear_down_filters);

#define FAR	ADDR(192, 0, 2, 33) /* a router outside */
#define OWN_OUT ADDR(203, 0, 113, 66)
#define ALONE	ADDR(10, 0, 0, 5) /* has OWN_OUT to itself */
#define PORT	OUT_PORT(7000, 2)

static void set_filter(const struct trace_filter *f)
{
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_update_elem(datapath.trace_filter, &zero, f, BPF_ANY), 0);
}

static struct trace_filter get_filter(void)
{
	struct trace_filter f;
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_lookup_elem(datapath.trace_filter, &zero, &f), 0);
	return f;
}

enum shape {
	OUT,
	IN,
	TO_PORTMAP,
	DIRECT,
	ERROR,
	ERROR_ABOUT_MAP,
	LATER,
	LATER_BACK,
	TO_OTHER,
	TO_ALONE,
	LATER_HAIRPIN,
	ARP,
	N_SHAPES
};

static const char *const shape_names[N_SHAPES] = {
	"out",	    "in",	    "to a portmap",	   "direct", "an error", "about a map", "later", "later, back",
	"to other", "to one alone", "later, of a hairpin", "ARP"
};

static size_t build(enum shape shape, enum hook *ret_hook, uint8_t *in)
{
	static const struct frame frames[N_SHAPES] = {
		[OUT] = { FROM_HOST, UDP, 7000, 53, .payload = 20 },
		[IN] = { FROM_ROUTER, UDP, 53, PORT, .payload = 20 },
		[TO_PORTMAP] = { FROM_ROUTER, TCP, 5555, WEB, .flags = 2 },
		[DIRECT] = { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 7000 },
		[LATER] = { FROM_HOST, UDP, 7000, 53, .payload = 1000 },
		[LATER_BACK] = { FROM_ROUTER, UDP, 53, PORT, .payload = 1000 },
		[TO_OTHER] = { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 3) },
		[TO_ALONE] = { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN_OUT, 47, .payload = 20 },
		[LATER_HAIRPIN] = { .from = HOST,
				    .to = GATEWAY_IN,
				    .src = OTHER,
				    .dst = POOL,
				    UDP,
				    8000,
				    PORT,
				    .payload = 1000 },
		[ARP] = { FROM_ROUTER, UDP, 53, PORT },
	};
	struct icmp_error e = { .src = FAR, .from = ROUTER, .to = GATEWAY_OUT, .dst = POOL, 3, 1 };
	uint8_t whole[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	*ret_hook = shape == OUT || shape == LATER || shape == LATER_HAIRPIN ? XDP_INSIDE : XDP_OUTSIDE;
	if (shape == ERROR || shape == ERROR_ABOUT_MAP) {
		e.quote = (struct frame){ .src = POOL,
					  .dst = EXTERNAL,
					  shape == ERROR ? UDP : TCP,
					  shape == ERROR ? PORT : WEB,
					  shape == ERROR ? 53 : 5555,
					  .payload = 30 };
		return icmp_error_build(&e, in);
	}
	size = frame_build(&frames[shape], in);
	if (shape == LATER || shape == LATER_BACK || shape == LATER_HAIRPIN) {
		static uint16_t id = 100;

		memcpy(whole, in, size);
		size = frame_fragment(whole, ++id, 0, 400, true, in);
		run_frame(*ret_hook, in, size, out, &out_size);
		ring_buffer__consume(ring);
		size = frame_fragment(whole, id, 400, 800, true, in);
	}
	if (shape == ARP) {
		in[13] = 6;
		memcpy(in + 28, (const uint8_t[]){ 198, 51, 100, 7 }, 4);
		memcpy(in + 38, (const uint8_t[]){ 203, 0, 113, 9 }, 4);
	}
	return size;
}

#define BIT(shape) (1U << (shape))
#define THOSE_OF_SUBSCRIBER                                                                                    \
	(BIT(OUT) | BIT(IN) | BIT(TO_PORTMAP) | BIT(DIRECT) | BIT(ERROR) | BIT(ERROR_ABOUT_MAP) | BIT(LATER) | \
	 BIT(LATER_BACK) | BIT(LATER_HAIRPIN))
#define ALL (BIT(N_SHAPES) - 1)

static const struct {
	const char *name;
	struct trace_filter f;
	unsigned matched;
} filters[] = {
	{ "none", {}, ALL },
	{ "TCP", { .proto = TCP }, BIT(TO_PORTMAP) },
	{ "ICMP", { .proto = ICMP }, BIT(ERROR) | BIT(ERROR_ABOUT_MAP) },
	{ "a subscriber", { .in = { SUBSCRIBER } }, THOSE_OF_SUBSCRIBER },
	{ "another", { .in = { OTHER } }, BIT(TO_OTHER) | BIT(LATER_HAIRPIN) },
	{ "one whose neighbour by number has packets", { .in = { SUBSCRIBER - 1 } }, 0 },
	{ "one with an outside address to itself", { .in = { ALONE } }, BIT(TO_ALONE) },
	{ "its neighbour", { .in = { ALONE + 1 } }, 0 },
	{ "an outside address", { .out = { POOL } }, ALL & ~(BIT(DIRECT) | BIT(TO_ALONE) | BIT(ARP)) },
	{ "another outside address", { .out = { POOL + 1 } }, 0 },
	{ "an outside address that ARP asks for", { .out = { ADDR(203, 0, 113, 9) } }, BIT(ARP) },
	{ "a source outside", { .out = { FAR } }, BIT(ERROR) | BIT(ERROR_ABOUT_MAP) },
	{ "an external address", { .ext = { EXTERNAL } }, ALL & ~BIT(LATER_HAIRPIN) },
	{ "an external address that is no quote's", { .ext = { FAR } }, BIT(ERROR) | BIT(ERROR_ABOUT_MAP) },
	{ "another external address", { .ext = { EXTERNAL + 1 } }, 0 },
	{ "all three",
	  { .in = { SUBSCRIBER }, .out = { POOL }, .ext = { EXTERNAL } },
	  THOSE_OF_SUBSCRIBER & ~(BIT(DIRECT) | BIT(LATER_HAIRPIN)) },
	{ "two of one and one of another", { .in = { SUBSCRIBER }, .out = { POOL }, .ext = { EXTERNAL + 1 } }, 0 },
	{ "an inside port",
	  { .in = { SUBSCRIBER, 7000 }, .seen = TRACE_SEEN_IN },
	  BIT(OUT) | BIT(IN) | BIT(DIRECT) | BIT(ERROR) },
	{ "another inside port", { .in = { SUBSCRIBER, 7001 }, .seen = TRACE_SEEN_IN }, 0 },
	{ "an inside port that the other side has", { .in = { SUBSCRIBER, 53 }, .seen = TRACE_SEEN_IN }, 0 },
	{ "an outside port", { .out = { POOL, PORT }, .seen = TRACE_SEEN_OUT }, BIT(OUT) | BIT(IN) | BIT(ERROR) },
	{ "another outside port", { .out = { POOL, 53 }, .seen = TRACE_SEEN_OUT }, 0 },
	{ "an external port",
	  { .ext = { EXTERNAL, 53 }, .seen = TRACE_SEEN_EXT },
	  BIT(OUT) | BIT(IN) | BIT(DIRECT) | BIT(ERROR) | BIT(TO_OTHER) },
	{ "an external port that the inside has", { .ext = { EXTERNAL, 7000 }, .seen = TRACE_SEEN_EXT }, 0 },
	{ "an inside port and an external one",
	  { .in = { SUBSCRIBER, 7000 }, .ext = { EXTERNAL, 53 }, .seen = TRACE_SEEN_IN | TRACE_SEEN_EXT },
	  BIT(OUT) | BIT(IN) | BIT(DIRECT) | BIT(ERROR) },
	{ "an inside port, and an external one that is not seen",
	  { .in = { SUBSCRIBER, 7000 }, .ext = { EXTERNAL, 54 }, .seen = TRACE_SEEN_IN | TRACE_SEEN_EXT },
	  0 },
};

static void add_alone(void)
{
	struct mapping_spec spec = {
		.in = { ALONE, 32 }, .out = { OWN_OUT, 32 }, .sessions_per_user = 1000, .session_slots = 1024
	};

	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
}

/* SUBSCRIBER has asked OTHER. */
static void open_hairpin(void)
{
	const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, OUT_PORT(8000, 3)
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in);

	run_frame(XDP_INSIDE, in, size, out, &size);
}

Test(trace_filters, say_which_packets_are_told_of)
{
	add_alone();
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	open_flow(UDP, 7000, 53, 0);
	open_flow_of(OTHER, UDP, 7001, 53, 0);
	open_hairpin();
	ring_buffer__consume(ring);
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		for (enum shape shape = 0; shape < N_SHAPES; shape++) {
			struct trace_filter f = filters[i].f;
			uint8_t in[FRAME_MAX], out[FRAME_MAX];
			enum hook hook;
			size_t size = build(shape, &hook, in);

			f.left = 9;
			set_filter(&f);
			run_frame(hook, in, size, out, &size);
			cr_expect_eq(ring_buffer__consume(ring), filters[i].matched >> shape & 1, "%s: %s",
				     filters[i].name, shape_names[shape]);
		}
}

static void send_out(unsigned n)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	enum hook hook;
	size_t size = build(OUT, &hook, in), out_size;

	for (unsigned i = 0; i < n; i++)
		run_frame(hook, in, size, out, &out_size);
}

Test(trace_filters, so_many_are_told_of_and_no_more)
{
	set_filter(&(struct trace_filter){ .left = 2 });
	send_out(5);
	cr_expect_eq(ring_buffer__consume(ring), 2);
	cr_expect_eq(get_filter().left, 0);
	cr_expect_eq(get_filter().missed, 0);
}

/* What the ring has no room for is counted apart. */
Test(trace_filters, those_that_find_the_ring_full_are_counted)
{
	enum { SENT = 900, LEFT_BEFORE = 2000 };
	int told;

	set_filter(&(struct trace_filter){ .left = LEFT_BEFORE });
	send_out(SENT);
	told = ring_buffer__consume(ring);
	cr_assert(told > 0 && told < SENT, "%d", told);
	cr_expect_eq(get_filter().left, LEFT_BEFORE - told);
	cr_expect_eq(get_filter().missed, (__u64)(SENT - told));
	send_out(1);
	cr_expect_eq(ring_buffer__consume(ring), 1, "there is room again");
}
