// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random packets of two tenants and of the outside, in any order: whatever has come before, what one tenant sends gets
 * to the inside of the other only as a hairpin, by the outside addresses of both, and what leaves by an inside
 * interface of one is for an address of that one.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "host/netlink.h"
#include "random_packet.h"
#include "staged.h"
#include "told_routes.h"
#include "../unit/rounds.h"

#define PACKETS 20000

/* The second tenant: 10.1.0.0/24 -> 203.0.116.0/30 behind tin2. */
#define POOL_B	  ADDR(203, 0, 116, 0)
#define INSIDE_B  ADDR(10, 1, 0, 0)
#define GATEWAY_B ((enum station)5)
#define HOST_B	  ((enum station)6)

/* The kernel's route to this address of the first tenant leads to the second. */
#define ASTRAY ADDR(10, 0, 0, 77)

enum side { OUTSIDE, FIRST, SECOND };

static uint32_t ifindex_of[3];

static void set_up_two(void)
{
	struct mapping_spec spec = { .in = { INSIDE_B, 24 },
				     .out = { POOL_B, 30 },
				     .sessions_per_user = 1000,
				     .session_slots = 64,
				     .tenant = 2 };

	settings.tenants = 1;
	settings.tc = TC_ALONE;
	set_up_with_room();
	stay_on_one_core();
	cr_assert_eq(system("ip link add tin2 type veth peer name pin2; ip link set tin2 address 02:00:00:00:00:05;"
			    "ip link set tin2 up; ip link set pin2 up; ip addr add 10.1.0.1/24 dev tin2;"
			    "for i in 2 3 77; do ip neigh add 10.1.0.$i lladdr 02:00:00:00:00:06 dev tin2; done;"
			    "ip route add 10.0.0.77/32 dev tin2;"
			    "ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:06 dev tin2"),
		     0);
	ifindex_of[OUTSIDE] = outside_ifindex;
	ifindex_of[FIRST] = inside_ifindex;
	ifindex_of[SECOND] = if_nametoindex("tin2");
	datapath.device[ifindex_of[SECOND]] = datapath.device[inside_ifindex];
	datapath.device[ifindex_of[SECOND]].mac[5] = GATEWAY_B;
	datapath.device[ifindex_of[SECOND]].addr = ADDR(10, 1, 0, 1);
	datapath.device[ifindex_of[SECOND]].tenant = 2;
	datapath.device[inside_ifindex].tenant = 1;
	mappings_set_tenant(mappings, 0, 1);
	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	cr_assert_eq(datapath_add_port(&datapath, ifindex_of[SECOND]), 0);
	refresh_followed_routes();
	datapath_raise_epoch(&datapath);
}

TestSuite(tenants_random, .init = set_up_two, .fini = tear_down);

#define PICK(r, array) ((array)[random_below(r, sizeof(array) / sizeof(*(array)))])

/* What came of all packets. */
struct tally {
	unsigned outwards, answers, hairpins, dropped, stopped;
};

static enum side inside_of(uint32_t addr)
{
	return addr >> 8 == ADDR(10, 0, 0, 0) >> 8 ? FIRST : addr >> 8 == INSIDE_B >> 8 ? SECOND : OUTSIDE;
}

static enum side pool_of(uint32_t addr)
{
	return addr >> 2 == POOL >> 2 ? FIRST : addr >> 2 == POOL_B >> 2 ? SECOND : OUTSIDE;
}

static uint32_t addr_at(const uint8_t *octet)
{
	return (uint32_t)octet[0] << 24 | (uint32_t)octet[1] << 16 | (uint32_t)octet[2] << 8 | octet[3];
}

/* Often what makes sense, else anything. */
static struct frame draw(struct random *r, enum side from)
{
	static const uint32_t hosts[3][3] = { { EXTERNAL, ADDR(192, 0, 2, 1), UNMAPPED },
					      { SUBSCRIBER, OTHER, ASTRAY },
					      { INSIDE_B + 2, INSIDE_B + 3, INSIDE_B + 77 } };
	static const uint32_t pools[] = { POOL, POOL_B };
	static const enum station station[3][2] = { { ROUTER, GATEWAY_OUT },
						    { HOST, GATEWAY_IN },
						    { HOST_B, GATEWAY_B } };
	static const uint8_t protos[] = { UDP, UDP, TCP, ICMP };
	static const uint16_t ports[] = { 5000, 5001 };
	static const uint8_t flags[] = { 0x02, 0x10, 0x12, 0x11, 0x04 };
	static const uint16_t blocks[] = { 2, 3, 77 };
	struct frame f = { .from = station[from][0],
			   .to = station[from][1],
			   .src = hosts[random_once(r, 8) ? random_below(r, 3) : from][random_below(r, 3)],
			   .dst = random_once(r, 2) ? PICK(r, pools) : hosts[random_below(r, 3)][random_below(r, 3)],
			   .proto = PICK(r, protos),
			   .sport = from == OUTSIDE ? 53 : PICK(r, ports),
			   .dport = from == OUTSIDE ? PICK(r, ports) : 53,
			   .flags = PICK(r, flags),
			   .icmp_type = random_once(r, 3) ? ECHO_REPLY_TYPE : 0 };

	if (random_once(r, 30))
		f.src = PICK(r, pools);
	if (pool_of(f.dst)) {
		uint16_t n = PICK(r, blocks);

		f.dst += n / 64;
		f.dport = (uint16_t)OUT_PORT(PICK(r, ports), n % 64);
		/* An echo reply has the identifier in place of both. */
		if (f.proto == ICMP && f.icmp_type)
			f.sport = f.dport;
	}
	return f;
}

/* Runs a frame that comes in by an interface of a side; what tc sees has both indexes. */
static int run(enum hook hook, enum side from, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	struct __sk_buff skb = { .ifindex = ifindex_of[from], .ingress_ifindex = ifindex_of[from] };
	_cleanup_close_ int fd = -1;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1, .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	if (hook < TC_OUTSIDE || hook == XDP_INSIDE_SLOW || hook == XDP_OUTSIDE_SLOW)
		return run_frame_on(ifindex_of[from], hook, in, size, out, ret_size);
	fd = hook_program(hook);
	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	*ret_size = opts.data_size_out;
	return (int)opts.retval;
}

/* Whether the program at the egress of a side stops a frame that the kernel has routed there. */
static bool stops(enum side from, enum side to, const uint8_t *in, size_t size)
{
	struct __sk_buff skb = { .ifindex = ifindex_of[to], .ingress_ifindex = ifindex_of[from] };
	_cleanup_close_ int fd = hook_program(TC_OUTSIDE);
	uint8_t out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1, .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	return opts.retval == DROP_TC;
}

/*
 * A frame that leaves: for whom, and by whose interface. tc may leave the MAC addresses to the kernel, and the
 * interface cannot be told.
 */
static void judge_redirected(struct tally *t, enum side from, const struct frame *f, const uint8_t *in,
			     const uint8_t *out, unsigned i)
{
	uint32_t src = addr_at(out + 26), dst = addr_at(out + 30);
	enum side to = !memcmp(in, out, 12) ? inside_of(dst)
		       : out[5] == HOST	    ? FIRST
		       : out[5] == HOST_B   ? SECOND
					    : OUTSIDE;

	cr_assert_eq(inside_of(dst), to, "packet %u: to %08x by the interface of side %u", i, dst, to);
	cr_assert_neq(dst, ASTRAY, "packet %u", i);
	if (from && to && from != to) {
		cr_assert_eq(pool_of(f->dst), to, "packet %u: to %08x, which was sent to %08x", i, dst, f->dst);
		cr_assert_eq(pool_of(src), from, "packet %u: from %08x of side %u", i, src, from);
		t->hairpins++;
	}
	if (from && !to)
		cr_assert_eq(pool_of(src), from, "packet %u: leaves as %08x of side %u", i, src, from);
	t->outwards += from && !to;
	t->answers += !from && to;
}

static void send_one(struct random *r, struct tally *t, unsigned i)
{
	static const enum hook hooks[2][3] = { { XDP_OUTSIDE, XDP_OUTSIDE_SLOW, INGRESS_OUTSIDE },
					       { XDP_INSIDE, XDP_INSIDE_SLOW, INGRESS_INSIDE } };
	enum side from = (enum side)random_below(r, 3), to;
	enum hook hook = hooks[from != OUTSIDE][random_once(r, 4) ? random_below(r, 3) : 0];
	struct frame f = draw(r, from);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), left;
	int verdict = run(hook, from, in, size, out, &left);

	if (verdict == (hook >= INGRESS_INSIDE ? REDIRECT_TC : REDIRECT_XDP)) {
		judge_redirected(t, from, &f, in, out, i);
		return;
	}
	if (verdict != (hook >= INGRESS_INSIDE ? PASS_TC : PASS_XDP)) {
		t->dropped++;
		return;
	}
	/* The kernel has it: if it routes it to an inside interface, the program there decides. */
	to = addr_at(out + 30) == ASTRAY ? SECOND : inside_of(addr_at(out + 30));
	if (!from || !to || from == to || pool_of(f.dst))
		return;
	cr_assert(stops(from, to, out, left), "packet %u: %08x to %08x by the kernel", i, f.src, f.dst);
	t->stopped++;
}

Test(tenants_random, no_packet_of_one_gets_to_the_inside_of_the_other, .timeout = 300)
{
	const char *chosen = getenv("DETNAT_PROPERTY_SEED");
	struct random r = { .state = chosen ? strtoull(chosen, NULL, 10) : 20261125 };
	struct tally t = { 0 };

	if (staged_wanted())
		cr_skip_test("an agent never has two stages and tenants");
	for (unsigned i = 0; i < rounds_of(PACKETS); i++)
		send_one(&r, &t, i);
	printf("tenants, seed %llu: %u outwards, %u answers, %u hairpins, %u dropped, %u stopped behind the kernel\n",
	       chosen ? strtoull(chosen, NULL, 10) : 20261125ULL, t.outwards, t.answers, t.hairpins, t.dropped,
	       t.stopped);
	cr_expect_gt(t.outwards, 0);
	cr_expect_gt(t.answers, 0);
	cr_expect_gt(t.hairpins, 0);
	cr_expect_gt(t.dropped, 0);
	cr_expect_gt(t.stopped, 0);
	cr_expect_gt(counted(REASON_drop_tenant), 0);
}
