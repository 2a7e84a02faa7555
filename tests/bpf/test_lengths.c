// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames of every length, each cut at every octet, so that what headers claim and what came disagree in every way: by
 * every main program and every tail-call program, as the packet alone tells such a program what it is called for.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "icmp_frame.h"
#include "late_tc.h"
#include "staged.h"

TestSuite(lengths, .init = set_up, .fini = tear_down);

#define LONGEST 200
/* BPF_PROG_TEST_RUN takes no frame without a whole Ethernet header, nor, at tc, without that of IP. */
#define SHORTEST     14
#define SHORTEST_SKB 34
/* Leaves are many, and see what the main programs see: so much fewer lengths. */
#define LEAF_STRIDE 7

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define HAIRPIN	    .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL

static const struct frame shapes[] = {
	{ FROM_HOST, UDP, 5000, 53 },
	{ FROM_HOST, TCP, 5000, 80, .flags = 2 },
	{ FROM_HOST, ICMP, 5000 },
	{ FROM_HOST, UDP, 5000, 53, .ip_options = 40 },
	{ FROM_HOST, UDP, 5000, 53, .options = MORE_FRAGMENTS },
	{ FROM_HOST, UDP, .options = LATER_FRAGMENT },
	{ FROM_HOST, 47 },
	{ FROM_HOST, UDP, 5000, 53, .options = VLAN },
	{ HAIRPIN, UDP, 5000, OUT_PORT(5000, 3) },
	{ FROM_ROUTER, UDP, 53, OUT_PORT(5000, 2) },
	{ FROM_ROUTER, TCP, 80, OUT_PORT(5000, 2), .flags = 16 },
};

static const struct icmp_error errors[] = {
	{ .src = SUBSCRIBER,
	  .from = HOST,
	  .to = GATEWAY_IN,
	  .dst = EXTERNAL,
	  3,
	  3,
	  .quote = { .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000 } },
	{ .src = EXTERNAL,
	  .from = ROUTER,
	  .to = GATEWAY_OUT,
	  .dst = POOL,
	  3,
	  3,
	  .quote = { .src = POOL, .dst = EXTERNAL, TCP, OUT_PORT(5000, 2), 80 } },
};

#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))
#define N_ERRORS (sizeof(errors) / sizeof(*errors))

/* A frame of a shape that is at least so long, and says so. */
static size_t build(size_t shape, size_t length, uint8_t *frame)
{
	struct frame f;
	struct icmp_error e;
	size_t size;

	if (shape < N_SHAPES) {
		f = shapes[shape];
		size = frame_build(&f, frame);
		if (size < length) {
			f.payload = (uint16_t)(length - size);
			size = frame_build(&f, frame);
		}
		return size;
	}
	e = errors[shape - N_SHAPES];
	size = icmp_error_build(&e, frame);
	if (size < length) {
		e.quote.payload = (uint16_t)(length - size);
		size = icmp_error_build(&e, frame);
	}
	return size;
}

struct run {
	int fd;
	bool tc;
	uint32_t ifindex;
	const char *name;
};

/* The verdict; the frame that comes out stands in out. */
static uint32_t run(const struct run *r, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	struct xdp_md xdp = { .data_end = (uint32_t)size, .ingress_ifindex = r->ifindex };
	struct __sk_buff skb = { .ifindex = outside_ifindex, .ingress_ifindex = inside_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1, .ctx_in = r->tc ? (void *)&skb : (void *)&xdp,
		    .ctx_size_in = r->tc ? sizeof(skb) : sizeof(xdp));

	cr_assert_eq(bpf_prog_test_run_opts(r->fd, &opts), 0, "%s: %zu octets: %s", r->name, size, strerror(errno));
	*ret_size = opts.data_size_out;
	/* What stage 2 refuses stays refused; its answer is not looked at. */
	return r->tc ? opts.retval : (uint32_t)staged_finish((int)opts.retval, out, ret_size);
}

static uint64_t reasons(void)
{
	struct counters c;
	uint64_t n = 0;

	cr_assert_eq(datapath_counters(&datapath, &c), 0);
#define X(name, text) n += c.name;
	REASONS(X)
#undef X
	return n + c.fragments_parked;
}

static int shows_inside_source(const uint8_t *frame, size_t size)
{
	return size >= 34 && frame[12] == 8 && !frame[13] && frame[26] == 10;
}

/* Every shape, of every length, cut at every octet. Whether each run was counted once, and none left as it came. */
static void run_all(const struct run *r, size_t stride)
{
	uint8_t whole[FRAME_MAX], out[FRAME_MAX];
	uint64_t before = reasons(), runs = 0;
	size_t out_size;

	for (size_t shape = 0; shape < N_SHAPES + N_ERRORS; shape++)
		for (size_t length = SHORTEST; length <= LONGEST; length += stride) {
			size_t size = build(shape, length, whole);

			for (size_t cut = r->tc ? SHORTEST_SKB : SHORTEST; cut <= size && cut <= LONGEST;
			     cut += size > 80 ? stride : 1) {
				int verdict = (int)run(r, whole, cut, out, &out_size);
				bool left = r->tc ? verdict == REDIRECT_TC : verdict == REDIRECT_XDP;

				runs++;
				cr_assert(r->tc ? verdict == PASS_TC || verdict == DROP_TC
						: verdict == PASS_XDP || verdict == DROP_XDP || left,
					  "%s: verdict %d of shape %zu, %zu of %zu octets", r->name, verdict, shape,
					  cut, size);
				/* To the inside go answers from the gateway's own address alone. */
				cr_assert(!left || !shows_inside_source(out, out_size) || out[29] == 1,
					  "%s: shape %zu, %zu of %zu octets left with an inside source", r->name, shape,
					  cut, size);
			}
		}
	cr_expect_eq(reasons() - before, runs, "%s: %lu counted of %lu", r->name, reasons() - before, runs);
}

static int program(int map, uint32_t key)
{
	uint32_t id;

	return bpf_map_lookup_elem(map, &key, &id) ? -1 : bpf_prog_get_fd_by_id(id);
}

Test(lengths, each_is_counted_once_by_the_main_programs)
{
	const struct run runs[] = {
		{ program(datapath.entries, ENTRY_INSIDE), false, inside_ifindex, "inside" },
		{ program(datapath.entries, ENTRY_OUTSIDE), false, outside_ifindex, "outside" },
		{ program(datapath.entries, ENTRY_BOTH), false, inside_ifindex, "both" },
		{ dup(tc_program()), true, 0, "tc" },
	};

	stay_on_one_core();
	staged_leave_answers = true;
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		cr_assert_geq(runs[i].fd, 0);
		run_all(&runs[i], 3);
		close(runs[i].fd);
	}
}

/* Leaves on this core what every answer of a hook is made of: the note of a refusal, of a subscriber that had none. */
static void leave_a_note(bool tc)
{
	static uint32_t src = ADDR(10, 0, 0, 100);
	const struct frame refused = { .from = HOST, .to = GATEWAY_IN, .src = src++, .dst = EXTERNAL, UDP, 5999, 53 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&refused, in), out_size;
	uint64_t before = counted(REASON_drop_quota);
	uint32_t quota = datapath.mapping[0].sessions_per_user;

	datapath.mapping[0].sessions_per_user = 0;
	run_frame(tc ? TC_OUTSIDE : XDP_INSIDE_SLOW, in, size, out, &out_size);
	datapath.mapping[0].sessions_per_user = quota;
	cr_assert_eq(counted(REASON_drop_quota), before + 1);
}

/* Called with anything, whether or not a main program would. */
Test(lengths, each_is_counted_once_by_the_tail_call_programs)
{
	static const char *const names[] = {
#define X(name) #name,
		PROGS(X)
#undef X
	};

	tc_program();
	stay_on_one_core();
	for (uint32_t leaf = 0; leaf < N_PROGS; leaf++)
		for (int tc = 0; tc < 2; tc++) {
			struct run r = { program(tc ? datapath.build->arrays[TC_PROGS]
						    : datapath.build->arrays[XDP_PROGS],
						 leaf),
					 tc, inside_ifindex, names[leaf] };

			if (r.fd < 0)
				continue;
			leave_a_note(tc);
			run_all(&r, LEAF_STRIDE);
			close(r.fd);
		}
}

/* With 16 octets the destination would be the ports, and the source port the length of UDP. */
Test(lengths, a_header_has_at_least_20_octets)
{
	static const struct {
		enum hook hook;
		int verdict;
	} hooks[] = { { XDP_INSIDE, DROP_XDP }, { XDP_BOTH, DROP_XDP }, { TC_OUTSIDE, DROP_TC } };
	static const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 20, 53, .payload = 30
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	in[14] = 0x44;
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		run_frame_counted("16 octets", hooks[i].hook, in, size, out, &out_size, hooks[i].verdict,
				  REASON_drop_malformed);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}
