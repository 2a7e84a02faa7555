// SPDX-License-Identifier: BSD-2-Clause
/*
 * The programs with stages: frames through the kernel's own queues, and what stage 2 must not send. That they decide as
 * those of one stage, all other tests show when they run with STAGES=2. With TRACED=1 their tracing build runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "staged.h"
#include "told_routes.h"

static int inside_peer = -1, outside_peer = -1;

/* A socket that gets what comes out of an interface's peer. */
static int listen_on(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), size = 8 << 20;

	cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)), "%s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void set_up_staged(void)
{
	setenv("STAGES", "2", 1);
	set_up();
	stay_on_one_core();
	inside_peer = listen_on("pin");
	outside_peer = listen_on("pout");
}

TestSuite(staged, .init = set_up_staged, .fini = tear_down);

/* Sends copies of a frame through a hook's program, and what that redirects through the kernel. */
static void send_live(enum hook hook, const uint8_t *frame, size_t size, int copies)
{
	struct xdp_md xdp = { .data_end = (uint32_t)size,
			      .ingress_ifindex = hook == XDP_INSIDE ? inside_ifindex : outside_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)size, .ctx_in = &xdp,
		    .ctx_size_in = sizeof(xdp), .repeat = copies, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int fd = hook_program(hook);

	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "%s", strerror(errno));
	close_fd(&fd);
}

/* The next IPv4 frame from a station; 0: none comes within so many milliseconds. */
static size_t receive(int peer, enum station from, uint8_t *ret, int wait_ms)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };

	while (poll(&p, 1, wait_ms) == 1) {
		ssize_t size = recv(peer, ret, FRAME_MAX, 0);

		cr_assert_geq(size, 14);
		cr_expect(!staged_is_marked(ret, (size_t)size), "a frame left untranslated");
		if (ret[11] == (uint8_t)from && ret[12] == 8 && ret[13] == 0)
			return (size_t)size;
	}
	return 0;
}

#define LONG_MS 5000

static void expect_live(const char *name, enum hook hook, const struct frame *in, const struct frame *out)
{
	int peer = hook == XDP_INSIDE ? outside_peer : inside_peer;
	uint8_t sent[FRAME_MAX], want[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(in, sent), want_size = frame_build(out, want), got_size;

	send_live(hook, sent, size, 1);
	got_size = receive(peer, out->from, got, LONG_MS);
	cr_assert(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

static struct frame from_inside(uint8_t proto, uint16_t sport, uint8_t flags)
{
	return (struct frame){ .from = HOST,
			       .to = GATEWAY_IN,
			       .src = SUBSCRIBER,
			       .dst = EXTERNAL,
			       .proto = proto,
			       .sport = sport,
			       .dport = 80,
			       .flags = flags,
			       .payload = 30 };
}

static struct frame translated(struct frame f)
{
	f.from = GATEWAY_OUT;
	f.to = ROUTER;
	f.src = POOL;
	f.sport = OUT_PORT(f.sport, 2);
	f.ttl = 63;
	return f;
}

/* The answer to a translated packet, and what becomes of it. */
static struct frame answer(struct frame f)
{
	struct frame back = { .from = ROUTER,
			      .to = GATEWAY_OUT,
			      .src = EXTERNAL,
			      .dst = POOL,
			      .proto = f.proto,
			      .sport = 80,
			      .dport = OUT_PORT(f.sport, 2),
			      .flags = f.flags,
			      .payload = 30 };

	return back;
}

static struct frame answer_translated(struct frame f)
{
	struct frame back = answer(f);

	back.from = GATEWAY_IN;
	back.to = HOST;
	back.dst = SUBSCRIBER;
	back.dport = f.sport;
	back.ttl = 63;
	return back;
}

Test(staged, frames_go_through_both_stages)
{
	static const uint8_t flags[] = { 2, 0x10, 0x18, 0x11 };
	struct frame udp = from_inside(UDP, 5000, 0), out = translated(udp), back = answer(udp),
		     in = answer_translated(udp);

	expect_live("opens", XDP_INSIDE, &udp, &out);
	expect_live("hit", XDP_INSIDE, &udp, &out);
	expect_live("hit from outside", XDP_OUTSIDE, &back, &in);
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct frame tcp = from_inside(TCP, 6000, flags[i]);

		out = translated(tcp);
		back = answer(tcp);
		in = answer_translated(tcp);
		expect_live("TCP", XDP_INSIDE, &tcp, &out);
		expect_live("TCP from outside", XDP_OUTSIDE, &back, &in);
	}
	cr_expect_eq(counted(REASON_in2out_translated), 6);
	cr_expect_eq(counted(REASON_out2in_translated), 5);
	/* Without the Ethernet header: two of 58 octets, one of 58, and four of 70 each way. */
	cr_expect_eq(counted(REASON_in2out_octets), 2 * 58 + 4 * 70);
	cr_expect_eq(counted(REASON_out2in_octets), 58 + 4 * 70);
	cr_expect_eq(counted(REASON_drop_stage2), 0);
	cr_expect_eq(staged_drops(), 0);
}

Test(staged, none_of_many_frames_is_lost)
{
	enum { COPIES = 1000 };
	struct frame udp = from_inside(UDP, 5000, 0), out = translated(udp);
	uint8_t sent[FRAME_MAX], want[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(&udp, sent), want_size = frame_build(&out, want);

	send_live(XDP_INSIDE, sent, size, COPIES);
	for (unsigned i = 0; i < COPIES; i++) {
		size_t got_size = receive(outside_peer, GATEWAY_OUT, got, LONG_MS);

		cr_assert(frame_equal("one of many", got, got_size, want, want_size), "frame %u", i);
	}
	cr_expect_eq(counted(REASON_in2out_translated), COPIES);
	cr_expect_eq(counted(REASON_drop_stage2), 0);
}

Test(staged, a_packet_that_stage_2_drops_does_not_leave)
{
	struct frame stray = answer(from_inside(UDP, 7000, 0));
	uint8_t sent[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(&stray, sent);

	send_live(XDP_OUTSIDE, sent, size, 100);
	cr_expect_eq(counted(REASON_drop_no_session), 100);
	cr_expect_eq(receive(inside_peer, GATEWAY_IN, got, 0), 0);
	/* Of these the kernel says that the interface refused them; the watching program, not here, takes them off. */
	cr_expect_eq(staged_drops(), 100);
}

Test(staged, without_stage_2_waiting_frames_are_dropped_and_others_sent)
{
	struct frame udp = from_inside(UDP, 5000, 0), out = translated(udp), echo = from_inside(ICMP, 77, 0),
		     echo_out = translated(echo);
	uint8_t sent[FRAME_MAX], got[FRAME_MAX];
	uint32_t zero = 0;

	echo.dport = echo_out.dport = 0;
	cr_assert_eq(bpf_map_delete_elem(datapath.stage2_entries, &zero), 0);
	send_live(XDP_INSIDE, sent, frame_build(&udp, sent), 20);
	cr_expect_eq(counted(REASON_drop_stage2), 20);
	cr_expect_eq(staged_drops(), 20);
	cr_expect_eq(receive(outside_peer, GATEWAY_OUT, got, 0), 0);
	expect_live("the slow path's", XDP_INSIDE, &echo, &echo_out);
	reload_settings();
	expect_live("with stage 2 again", XDP_INSIDE, &udp, &out);
}

static size_t mark(const struct frame *f, uint8_t *ret)
{
	uint8_t in[FRAME_MAX];
	size_t size = frame_build(f, in), marked;

	cr_assert_eq(run_hook(XDP_INSIDE, in, size, ret, &marked), REDIRECT_XDP);
	cr_assert_eq(marked, size);
	return marked;
}

Test(staged, a_frame_is_finished_once_and_by_its_own_number)
{
	struct frame udp = from_inside(UDP, 5000, 0);
	uint8_t first[FRAME_MAX], again[FRAME_MAX], forged[FRAME_MAX];
	size_t size = mark(&udp, first);

	cr_assert(staged_is_marked(first, size));
	memcpy(again, first, size);
	for (unsigned octet = 0; octet < 6; octet++) {
		memcpy(forged, first, size);
		forged[octet] ^= 0x40;
		cr_expect_eq(staged_run_stage2(forged, &size), DROP_XDP, "octet %u", octet);
	}
	cr_expect_eq(counted(REASON_drop_stage2), 6);
	cr_expect_eq(staged_run_stage2(first, &size), PASS_XDP);
	cr_expect_eq(staged_run_stage2(again, &size), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_stage2), 7);
	cr_expect_eq(staged_drops(), 7);
	cr_expect_eq(counted(REASON_in2out_translated), 1);
}

Test(staged, frames_are_numbered_on_beyond_16_bits_and_beyond_32)
{
	static const uint32_t first[] = { 0xfffe, 0xfffffffe };
	struct frame udp = from_inside(UDP, 5000, 0), want = translated(udp);
	const struct row row[] = { { "out", XDP_INSIDE, udp, REDIRECT_XDP, want, REASON_in2out_translated } };
	uint8_t marked[FRAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		staged_number_from(first[i]);
		for (unsigned k = 0; k < 4; k++)
			RUN_ROWS(row);
	}
	staged_number_from(0x12345678);
	mark(&udp, marked);
	cr_expect_eq(marked[2] | marked[3] << 8 | marked[4] << 16 | marked[5] << 24, 0x12345678);
}

/* Opening ones, those of sessions that go on, and answers. */
Test(staged, ordinary_packets_wait_for_stage_2)
{
	static const struct {
		uint8_t proto, flags;
	} some[] = { { UDP, 0 }, { UDP, 0 }, { TCP, 2 }, { TCP, 16 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	refresh_followed_routes();
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		struct frame f = from_inside(some[i].proto, 5000, some[i].flags), back = answer(f);
		size_t size = mark(&f, out), back_size = frame_build(&back, in);

		cr_expect(staged_is_marked(out, size), "from inside, %zu", i);
		cr_expect_eq(staged_run_stage2(out, &size), PASS_XDP);
		cr_assert_eq(run_hook(XDP_OUTSIDE, in, back_size, out, &size), REDIRECT_XDP);
		cr_expect(staged_is_marked(out, size), "from outside, %zu", i);
		cr_expect_eq(staged_run_stage2(out, &size), PASS_XDP);
	}
}

Test(staged, marks_from_the_wire_mean_nothing)
{
	struct frame udp = from_inside(UDP, 5000, 0), back = answer(udp);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = mark(&udp, in), out_size;

	run_frame_counted("marked, from inside", XDP_INSIDE, in, size, out, &out_size, PASS_XDP,
			  REASON_passed_untranslated);
	cr_expect(frame_equal("from inside", out, out_size, in, size));
	size = frame_build(&back, out);
	memcpy(out, in, 6);
	memcpy(out + 12, in + 12, 2);
	memcpy(in, out, size);
	run_frame_counted("marked, from outside", XDP_OUTSIDE, in, size, out, &out_size, PASS_XDP,
			  REASON_passed_untranslated);
	/* To this station: no IPv4 either. */
	size = frame_build(&udp, in);
	in[12] = STAGE_ETHERTYPE >> 8;
	in[13] = STAGE_ETHERTYPE & 255;
	run_frame_counted("marked, to this station", XDP_INSIDE, in, size, out, &out_size, PASS_XDP,
			  REASON_passed_untranslated);
}

Test(staged, other_frames_pass_stage_2_as_they_are)
{
	struct frame udp = from_inside(UDP, 5000, 0);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&udp, in), short_size = 20;

	memcpy(out, in, size);
	cr_expect_eq(staged_run_stage2(out, &size), PASS_XDP);
	cr_expect(frame_equal("IPv4", out, size, in, size));
	out[12] = STAGE_ETHERTYPE >> 8;
	out[13] = STAGE_ETHERTYPE & 255;
	cr_expect_eq(staged_run_stage2(out, &short_size), PASS_XDP, "shorter than any that is marked");
}

Test(staged, while_the_list_is_full_frames_go_in_one_stage)
{
	struct frame udp = from_inside(UDP, 5000, 0), want = translated(udp);
	uint8_t in[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX], first[FRAME_MAX];
	size_t size = frame_build(&udp, in), out_size, first_size, wanted_size = frame_build(&want, wanted);

	next_tick();
	cr_assert_eq(run_hook(XDP_INSIDE, in, size, first, &first_size), REDIRECT_XDP);
	for (unsigned i = 1; i < STAGE_ENTRIES; i++) {
		cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		cr_expect(staged_is_marked(out, out_size), "frame %u", i);
	}
	cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect(frame_equal("in one stage", out, out_size, wanted, wanted_size));
	/* The first entry was not overwritten. */
	cr_expect_eq(staged_run_stage2(first, &first_size), PASS_XDP);
	cr_expect(frame_equal("the first", first, first_size, wanted, wanted_size));
	/* The others are given up as lost. */
	next_tick();
	next_tick();
	for (unsigned i = 0; i < 2 * STAGE_ENTRIES; i++) {
		cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		cr_expect(staged_is_marked(out, out_size), "frame %u after a while", i);
		cr_expect_eq(staged_run_stage2(out, &out_size), PASS_XDP);
	}
	cr_expect_eq(counted(REASON_drop_stage2), 0);
}

Test(staged, a_frame_keeps_its_place_into_the_next_tick)
{
	struct frame udp = from_inside(UDP, 5000, 0), want = translated(udp);
	uint8_t in[FRAME_MAX], out[FRAME_MAX], wanted[FRAME_MAX], first[FRAME_MAX];
	size_t size = frame_build(&udp, in), out_size, first_size, wanted_size = frame_build(&want, wanted);
	uint32_t tick;
	int again;

	/* Once more where a busy machine let more ticks go by. */
	do {
		next_tick();
		next_tick();
		tick = datapath_ticks(&datapath);
		cr_assert_eq(run_hook(XDP_INSIDE, in, size, first, &first_size), REDIRECT_XDP);
		for (unsigned i = 1; i < STAGE_ENTRIES; i++)
			cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		next_tick();
		cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		again = datapath_ticks(&datapath) != tick + 1;
	} while (again);
	cr_expect(frame_equal("in one stage", out, out_size, wanted, wanted_size));
	cr_expect_eq(staged_run_stage2(first, &first_size), PASS_XDP);
	cr_expect(frame_equal("the first", first, first_size, wanted, wanted_size));
}

/* As the agent takes an interface off its list before it is gone. */
Test(staged, to_an_interface_that_is_not_entered_nothing_waits)
{
	struct frame udp = from_inside(UDP, 5000, 0), back = answer(udp);
	const struct {
		enum hook hook;
		const struct frame *frame;
		enum reason reason;
	} ways[] = {
		{ XDP_INSIDE, &udp, REASON_in2out_translated },
		{ XDP_OUTSIDE, &back, REASON_out2in_translated },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	datapath_del_port(&datapath, inside_ifindex);
	datapath_del_port(&datapath, outside_ifindex);
	refresh_followed_routes();
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		size_t size = frame_build(ways[i].frame, in);

		cr_expect_eq(run_hook(ways[i].hook, in, size, out, &out_size), DROP_XDP);
		cr_expect(!staged_is_marked(out, out_size));
		cr_expect_eq(counted(ways[i].reason), 1);
		cr_expect_eq(counted(REASON_redirect_errors), i + 1);
	}
}

Test(staged, nothing_is_marked_while_programs_are_replaced)
{
	struct frame udp = from_inside(UDP, 5000, 0), want = translated(udp), back = answer(udp),
		     in_want = answer_translated(udp);
	uint32_t generation = datapath.stages->generation;
	const struct row rows[] = {
		{ "out", XDP_INSIDE, udp, REDIRECT_XDP, want, REASON_in2out_translated },
		{ "in", XDP_OUTSIDE, back, REDIRECT_XDP, in_want, REASON_out2in_translated },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&udp, in), out_size;

	cr_assert_neq(generation, 0);
	/* Those of the next set of programs do, these do not any more. */
	for (unsigned i = 0; i < 2; i++) {
		datapath.stages->generation = i ? generation + 1 : 0;
		RUN_ROWS(rows);
		cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		cr_expect(!staged_is_marked(out, out_size), "generation %u", datapath.stages->generation);
	}
	datapath.stages->generation = generation;
	cr_assert_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect(staged_is_marked(out, out_size));
}

static void run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

/* Its own by an address, by a local route for a prefix around the pool, within it, or for all of it. */
Test(staged, a_packet_that_may_be_for_the_gateway_itself_stays_in_one_stage)
{
	static const char *const own[] = { "ip addr %s 203.0.113.0/32 dev tout",
					   "ip route %s local 203.0.0.0/16 dev lo",
					   "ip route %s local 203.0.113.0/31 dev lo",
					   "ip route %s local 203.0.113.0/30 dev lo" };
	static const struct frame unsolicited = { .from = ROUTER,
						  .to = GATEWAY_OUT,
						  .src = EXTERNAL,
						  .dst = POOL,
						  UDP,
						  80,
						  OUT_PORT(5000, 2),
						  .payload = 20 };
	const struct row passed[] = {
		{ "its own", XDP_OUTSIDE, unsolicited, PASS_XDP, {}, REASON_passed_untranslated },
	};
	const struct row dropped[] = {
		{ "not its own", XDP_OUTSIDE, unsolicited, DROP_XDP, {}, REASON_drop_no_session },
	};
	char command[80];

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		for (int del = 0; del < 2; del++) {
			snprintf(command, sizeof(command), own[i], del ? "del" : "add");
			run(command);
			if (del)
				RUN_ROWS(dropped);
			else
				RUN_ROWS(passed);
		}
	}
}

/* The verifier sees other code with each. */
Test(staged, programs_load_with_each_setting)
{
	const struct settings usual = settings;
	struct settings some[] = {
		{ .unmatched = UNMATCHED_ROUTE },
		{ .unmatched = UNMATCHED_DROP },
		{ .unmatched = UNMATCHED_STRICT },
		{ .unmatched = UNMATCHED_STRICT, .source_check = SOURCES_STRICT_EACH, .outside_strict = 1 },
		{ .source_check = SOURCES_STRICT, .route_mtus = 1, .tcp_mss_clamp = MSS_CLAMP_MTU },
		{ .policy_routing = 1, .udp_inbound_refresh = 1, .session_events = 1 },
		{ .hairpin = 1, .unsolicited_tcp = UNSOLICITED_ANSWER, .guard = 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		settings = some[i];
		settings.hz = usual.hz;
		settings.redirect = 1;
		reload_settings();
		cr_expect_neq(datapath.stages->generation, 0);
	}
	settings = usual;
}
