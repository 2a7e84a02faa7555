// SPDX-License-Identifier: BSD-2-Clause
/* The tracing build: the steps that it records of a packet, their order, and the values of each. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <detnat/programs.h>
#include <detnat/trace.h>

#include "fixture.h"
#include "staged.h"
#include "told_routes.h"

static void set_up_traced(void)
{
	setenv("TRACED", "1", 1);
	unsetenv("STAGES");
	set_up();
}

TestSuite(trace, .init = set_up_traced, .fini = tear_down);

static void set_up_traced_stages(void)
{
	setenv("TRACED", "1", 1);
	setenv("STAGES", "2", 1);
	set_up();
	stay_on_one_core();
}

TestSuite(trace_stages, .init = set_up_traced_stages, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL

struct text {
	char octets[2048];
	size_t n;
	size_t size; /* of the frame */
};

__attribute__((format(printf, 2, 3))) static void append(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->octets + t->n, sizeof(t->octets) - t->n, format, args);
	va_end(args);
	cr_assert_lt(t->n, sizeof(t->octets));
}

static const char *interface_name(uint32_t ifindex)
{
	return ifindex == inside_ifindex ? "tin" : ifindex == outside_ifindex ? "tout" : "?";
}

static void append_address(struct text *t, uint32_t a)
{
	append(t, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

/* What a step says of the packet itself, or of what was found for it. */
static void append_step(struct text *t, const struct trace_step *s)
{
	static const char *const names[] = {
#define X(name, text) text,
		TRACE_STEPS(X)
#undef X
	};

	static const char *const leaves[] = {
#define X(name) #name,
		PROGS(X)
#undef X
	};

	cr_assert_lt(s->kind, N_TRACE_STEPS);
	append(t, "%s%s", t->n ? "; " : "", names[s->kind]);
	switch (s->kind) {
	case TRACE_received:
	case TRACE_rewritten:
		append(t, " ");
		append_address(t, s->src);
		append(t, ":%u ", s->sport);
		append_address(t, s->dst);
		append(t, ":%u", s->dport);
		break;
	case TRACE_subscriber:
		append(t, " ");
		append_address(t, (uint32_t)(s->a >> 32));
		append(t, " ");
		append_address(t, (uint32_t)s->a);
		append(t, " %u-%u%s", (unsigned)(s->b >> 16 & 0xffff), (unsigned)(s->b & 0xffff),
		       s->b >> 32 ? " draining" : "");
		break;
	case TRACE_next_hop:
	case TRACE_egress:
		append(t, " %s %u %u", interface_name((uint32_t)(s->a >> 32)), (uint32_t)s->a, (unsigned)s->b);
		break;
	case TRACE_tail_call:
		cr_assert_lt(s->a, N_PROGS);
		append(t, " %s", leaves[s->a]);
		break;
	case TRACE_redirect:
	case TRACE_agent:
		append(t, " %s", interface_name((uint32_t)s->a));
		break;
	case TRACE_session:
		append(t, " %u", word_out_port(s->a));
		break;
	case TRACE_opened:
	case TRACE_end:
		append(t, " %u", (unsigned)s->a);
		break;
	}
}

static uint16_t last_reason;

static int read_record(void *arg, void *data, size_t size)
{
	const struct trace_record *r = data;
	struct text *t = arg;

	cr_assert_eq(size, sizeof(*r));
	cr_expect_eq(r->missed, 0);
	last_reason = r->reason;
	for (unsigned i = 0; i < r->n_steps; i++)
		append_step(t, &r->step[i]);
	cr_expect_eq(r->length, t->size);
	return 0;
}

struct traced {
	const char *name;
	enum hook hook;
	struct frame f;
	const char *steps;
};

#define LONG .payload = 40

static void expect_traced(const struct traced *rows, size_t n)
{
	struct text t;
	struct ring_buffer *ring = ring_buffer__new(datapath.trace_ring, read_record, &t, NULL);

	cr_assert_not_null(ring);
	stay_on_one_core();
	for (size_t i = 0; i < n; i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size = frame_build(&rows[i].f, in), out_size;

		t = (struct text){ .size = size };
		refresh_followed_routes();
		run_frame(rows[i].hook, in, size, out, &out_size);
		cr_assert_eq(ring_buffer__consume(ring), 1, "%s", rows[i].name);
		cr_expect_str_eq(t.octets, rows[i].steps, "%s: %s", rows[i].name, t.octets);
	}
	ring_buffer__free(ring);
}

Test(trace, tells_of_next_hops_that_the_kernel_was_asked_for)
{
	static const struct traced rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; leaf in2out_cached; leaf in2out; "
		  "next-hop tout 0 1500; subscriber 10.0.0.2 203.0.113.0 3040-4047; "
		  "leaf open; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "goes on",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; leaf in2out_cached; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "an answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:53 203.0.113.0:3992; leaf out2in_cached; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; way-in tin 0 1500; "
		  "session 3992; rewritten 198.51.100.7:53 10.0.0.2:7000; redirect tin; "
		  "end 4" },
	};

	expect_traced(rows, sizeof(rows) / sizeof(*rows));
}

Test(trace, tells_each_step_of_a_packet)
{
	static const struct traced rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "goes on",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "with options, not for the fast path",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, .ip_options = 4 },
		  "received 10.0.0.2:7000 198.51.100.7:53; leaf in2out; "
		  "next-hop tout 0 1500; subscriber 10.0.0.2 203.0.113.0 3040-4047; "
		  "session 3992; rewritten 203.0.113.0:3992 198.51.100.7:53; "
		  "redirect tout; end 4" },
		{ "opens a connection",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 7003, 80, .flags = 2 },
		  "received 10.0.0.2:7003 198.51.100.7:80; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3995; "
		  "rewritten 203.0.113.0:3995 198.51.100.7:80; redirect tout; end 4" },
		{ "an answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:53 203.0.113.0:3992; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; way-in tin 0 1500; "
		  "session 3992; rewritten 198.51.100.7:53 10.0.0.2:7000; redirect tin; "
		  "end 4" },
		{ "another answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:53 203.0.113.0:3992; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; way-in tin 0 1500; "
		  "session 3992; rewritten 198.51.100.7:53 10.0.0.2:7000; redirect tin; "
		  "end 4" },
		{ "of no session",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:54 203.0.113.0:3992; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; leaf out2in; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; leaf out2in_slow; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; end 1" },
		{ "at egress",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 7002, 53 },
		  "received 10.0.0.2:7002 198.51.100.7:53; leaf in2out; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; leaf open; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3994; "
		  /* TC_ACT_UNSPEC, which lets the next program have it. */
		  "rewritten 203.0.113.0:3994 198.51.100.7:53; end 4294967295" },
	};

	tell_routes();
	expect_traced(rows, sizeof(rows) / sizeof(*rows));
}

static void set_up_drains(void)
{
	settings.drains = 1;
	set_up_traced();
}

Test(trace, tells_that_a_mapping_drains, .init = set_up_drains)
{
	static const struct traced rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "an answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:53 203.0.113.0:3992; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047 draining; way-in tin 0 1500; "
		  "session 3992; rewritten 198.51.100.7:53 10.0.0.2:7000; redirect tin; "
		  "end 4" },
	};
	const struct prefix all = { ADDR(10, 0, 0, 0), 24 }, out = { POOL, 30 };

	tell_routes();
	expect_traced(rows, 1);
	cr_assert_eq(mappings_retire(mappings, all, out, 600), 0);
	expect_traced(rows + 1, 1);
}

/* As two gateways would translate it: first the source, then the destination. */
Test(trace, tells_both_steps_of_a_hairpin)
{
	static const struct traced rows[] = {
		{ "A calls B, who has no session",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = POOL,
		    UDP,
		    7000,
		    OUT_PORT(8000, 3),
		    LONG },
		  "received 10.0.0.2:7000 203.0.113.0:4992; leaf in2out_cached; leaf in2out; "
		  "next-hop tout 3 1500; subscriber 10.0.0.2 203.0.113.0 3040-4047; leaf hairpin; next-hop tout 3 "
		  "1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; leaf open; next-hop tout 3 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3992; leaf hairpin; "
		  "next-hop tout 3 1500; subscriber 10.0.0.2 203.0.113.0 3040-4047; session 3992; end 1" },
		{ "B calls A",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, OUT_PORT(7000, 2), LONG },
		  "received 10.0.0.3:8000 203.0.113.0:3992; leaf in2out_cached; leaf in2out; next-hop tout 3 1500; "
		  "subscriber 10.0.0.3 203.0.113.0 4048-5055; leaf hairpin; next-hop tout 3 1500; "
		  "subscriber 10.0.0.3 203.0.113.0 4048-5055; leaf open; next-hop tout 3 1500; "
		  "subscriber 10.0.0.3 203.0.113.0 4048-5055; session-opened 4992; leaf hairpin; next-hop tout 3 1500; "
		  "subscriber 10.0.0.3 203.0.113.0 4048-5055; session 4992; session 3992; way-in tin 0 1500; "
		  "rewritten 203.0.113.0:4992 203.0.113.0:3992; rewritten 203.0.113.0:4992 10.0.0.2:7000; "
		  "redirect tin; end 4" },
	};

	expect_traced(rows, sizeof(rows) / sizeof(*rows));
}

/* The settings say two stages, as the agent's do: the tracing programs mark nothing, and the normal ones do so again.
 */
Test(trace_stages, packets_are_handled_in_one_stage_while_they_are_traced)
{
	static const struct traced rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, LONG },
		  "received 10.0.0.2:7000 198.51.100.7:53; next-hop tout 0 1500; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; session-opened 3992; "
		  "rewritten 203.0.113.0:3992 198.51.100.7:53; redirect tout; end 4" },
		{ "an answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), LONG },
		  "received 198.51.100.7:53 203.0.113.0:3992; "
		  "subscriber 10.0.0.2 203.0.113.0 3040-4047; way-in tin 0 1500; "
		  "session 3992; rewritten 198.51.100.7:53 10.0.0.2:7000; redirect tin; end 4" },
	};
	struct frame f = { FROM_HOST, UDP, 7000, 53, LONG };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	cr_assert_eq(datapath.settings.stages, 2);
	cr_expect_eq(datapath_stages(&datapath), 1);
	expect_traced(rows, sizeof(rows) / sizeof(*rows));
	unsetenv("TRACED");
	settings.trace = 0;
	reload_settings();
	cr_expect_eq(datapath_stages(&datapath), 2);
	cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect(staged_is_marked(out, out_size));
}
