// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random packets of two tenants that have the same inside addresses, 10.0.0.0/24, and of the outside, in any order. The
 * first tenant is routed by a VRF, as in test_tenants_vrf.c, and the second by the main table. Each packet that comes
 * out is for the right subscriber of the right tenant: by its addresses and ports, which the test notes as packets
 * leave, and by its interface.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "links/interfaces.h"
#include "random_packet.h"
#include "staged.h"
#include "tenants_judge.h"
#include "told_routes.h"
#include "../unit/rounds.h"

#define ROUNDS	 20000
#define SEED	 20261126
#define SILENT	 77 /* host whose MAC address is not known: the kernel has to send to it */
#define GATEWAY2 ((enum station)5)
#define HOST2	 ((enum station)6)
#define INTO_VRF ((enum station)8)

/* The kernel's interface of a side; the VRF's. */
static uint32_t ifindex_of[3], vrf;

static void describe(uint32_t ifindex, enum station station, uint8_t tenant, uint8_t flags)
{
	struct device record = datapath.device[inside_ifindex];

	record.mac[5] = (uint8_t)station;
	record.tenant = tenant;
	if (flags)
		record.flags = flags;
	device_store(&datapath, ifindex, &record);
}

/* A port of each tenant's pool leads to the same inside endpoint. The agent's table does not know of shared prefixes.
 */
static void map_ports(uint8_t tenant)
{
	const struct portmap_key in = portmap_key_inside(tenant, SUBSCRIBER, CAM_IN, UDP),
				 out = { pool_of_side[tenant], CAM, UDP, PORTMAP_OUT2IN };
	const struct portmap_value from = { .addr = pool_of_side[tenant], .port = CAM },
				   to = { .addr = SUBSCRIBER, .port = CAM_IN };
	struct subscriber *s = mappings_subscriber(mappings, tenant == FIRST ? 0 : second, SUBSCRIBER - INSIDE);

	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &in, &from, BPF_ANY), 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &out, &to, BPF_ANY), 0);
	s->beyond |= SUBSCRIBER_PORTMAPS;
	s->portmap_in = s->portmap_out = 0xffff;
}

static void set_up_two(void)
{
	settings.policy_routing = POLICY_INTERFACES;
	settings.vrf = 1;
	set_up_shared();
	stay_on_one_core();
	cr_assert_eq(system("ip link add tvrf type veth peer name pvrf; ip link set tvrf address 02:00:00:00:00:08;"
			    "ip link add tin2 type veth peer name pin2; ip link set tin2 address 02:00:00:00:00:05;"
			    "for i in tvrf pvrf tin2 pin2; do ip link set $i up; done;"
			    "for i in all tin tin2 tout tvrf; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done;"
			    "for i in 2 3; do ip neigh add 10.0.0.$i lladdr 02:00:00:00:00:06 dev tin2; done;"
			    "ip route add 10.0.0.0/24 dev tin table 50;"
			    "ip route add default via 198.51.100.7 dev tout table 50;"
			    "ip rule add iif tvrf lookup 50; ip rule add iif tin lookup 50;"
			    "ip route del 10.0.0.0/24 dev tin; ip route add 10.0.0.0/24 dev tin2"),
		     0);
	ifindex_of[OUTSIDE] = outside_ifindex;
	ifindex_of[FIRST] = inside_ifindex;
	ifindex_of[SECOND] = if_nametoindex("tin2");
	vrf = if_nametoindex("tvrf");
	describe(ifindex_of[SECOND], GATEWAY2, SECOND, 0);
	describe(vrf, INTO_VRF, FIRST, DEVICE_VRF);
	datapath.way[FIRST] = vrf;
	map_ports(FIRST);
	map_ports(SECOND);
	cr_assert_eq(datapath_add_port(&datapath, ifindex_of[SECOND]), 0);
	refresh_followed_routes();
	datapath_raise_epoch(&datapath);
}

TestSuite(tenants_shared_random, .init = set_up_two, .fini = portmap_tear_down);

#define PICK(r, array) ((array)[random_below(r, sizeof(array) / sizeof(*(array)))])

static int run_tc(int fd, struct __sk_buff skb, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1, .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	close(fd);
	*ret_size = opts.data_size_out;
	return (int)opts.retval;
}

static int run(enum hook hook, unsigned from, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	const struct __sk_buff skb = { .ifindex = ifindex_of[from], .ingress_ifindex = ifindex_of[from] };

	return hook < INGRESS_INSIDE ? run_frame_on(ifindex_of[from], hook, in, size, out, ret_size)
				     : run_tc(hook_program(hook), skb, in, size, out, ret_size);
}

/* Whether the program at the egress of an inside interface stops what the kernel routes there. */
static bool stops(uint32_t from, unsigned to, const uint8_t *in, size_t size)
{
	const struct __sk_buff skb = { .ifindex = ifindex_of[to], .ingress_ifindex = from };
	uint8_t out[FRAME_MAX];
	size_t left;

	return run_tc(hook_program(TC_OUTSIDE), skb, in, size, out, &left) == DROP_TC;
}

/* The kernel has what came from outside: it routes by the VRF, or by the main table. It gets to no other interface. */
static void judge_by_kernel(struct state *s, const struct sent *p, bool by_vrf, const uint8_t *frame, size_t size)
{
	const unsigned to = by_vrf ? FIRST : SECOND;
	const uint32_t from = by_vrf ? vrf : outside_ifindex;

	judge(s, p, to, frame);
	cr_assert_not(stops(from, to, frame, size), "packet %u: to its tenant", s->i);
	cr_assert(stops(from, FIRST + SECOND - to, frame, size), "packet %u: to the other tenant", s->i);
	s->t.kernel[to]++;
}

static void judge_redirected(struct state *s, const struct sent *p, const uint8_t *in, const uint8_t *out, size_t size)
{
	unsigned to = out[5] == HOST ? FIRST : out[5] == HOST2 ? SECOND : OUTSIDE;

	if (out[5] == INTO_VRF)
		judge_by_kernel(s, p, true, out, size);
	else if (memcmp(in, out, 12) != 0)
		judge(s, p, to, out);
	else /* By tc, and the kernel writes the MAC addresses: the interface is not known. */
		judge(s, p,
		      !is_inside(addr_at(out + 30)) ? OUTSIDE
		      : is_inside(p->of.dst)	    ? p->from
						    : pool_at(p->of.dst),
		      out);
}

static void send_one(struct state *s, const struct sent *p, const uint8_t *in, size_t size)
{
	static const enum hook hooks[2][3] = { { XDP_OUTSIDE, XDP_OUTSIDE_SLOW, INGRESS_OUTSIDE },
					       { XDP_INSIDE, XDP_INSIDE_SLOW, INGRESS_INSIDE } };
	enum hook hook = hooks[p->from != OUTSIDE][random_once(&s->r, 3) ? random_below(&s->r, 3) : 0];
	const bool tc = hook >= INGRESS_INSIDE;
	const struct vrf_note mark = { VRF_NOTE, vrf };
	uint8_t out[FRAME_MAX], *frame = out;
	size_t left;
	int verdict = run(hook, p->from, in, size, out, &left);
	bool noted = left == size + sizeof(mark) && !memcmp(out, &mark, sizeof(mark));

	if (verdict == (tc ? REDIRECT_TC : REDIRECT_XDP)) {
		judge_redirected(s, p, in, out, left);
	} else if (verdict != (tc ? PASS_TC : PASS_XDP)) {
		s->t.dropped++;
		note_unseen(s, p);
	} else if (!p->from && pool_at(addr_at(in + 30))) {
		frame += noted ? sizeof(mark) : 0;
		if (is_inside(addr_at(frame + 30)))
			judge_by_kernel(s, p, noted, frame, size);
	}
}

static enum station station_of(unsigned side, bool gateway)
{
	static const enum station station[3][2] = { { ROUTER, GATEWAY_OUT },
						    { HOST, GATEWAY_IN },
						    { HOST2, GATEWAY2 } };

	return station[side][gateway];
}

/* Often what makes sense, else anything. */
static void send_packet(struct state *s, unsigned from)
{
	static const uint32_t hosts[] = { SUBSCRIBER, OTHER, INSIDE + SILENT }, outside[] = { EXTERNAL, UNMAPPED };
	static const uint8_t protos[] = { UDP, UDP, TCP, ICMP }, flags[] = { 0x02, 0x10, 0x12, 0x11, 0x04 };
	static const uint16_t ports[] = { 5000, 5001, CAM_IN };
	struct random *r = &s->r;
	struct frame f = { .from = station_of(from, false),
			   .to = station_of(from, true),
			   .src = from ? PICK(r, hosts) : PICK(r, outside),
			   .dst = random_once(r, 8) ? PICK(r, hosts) : EXTERNAL,
			   .proto = PICK(r, protos),
			   .sport = from ? PICK(r, ports) : 53,
			   .dport = 53,
			   .flags = PICK(r, flags) };
	uint8_t frame[FRAME_MAX];
	struct sent p = { .from = from, .proto = f.proto };
	size_t size;

	if (!from || random_once(r, 2)) {
		uint32_t n = PICK(r, hosts) - INSIDE;

		f.dst = pool_of_side[1 + random_below(r, 2)] + n / 64;
		f.dport = (uint16_t)OUT_PORT(PICK(r, ports), n % 64);
		if (random_once(r, 6))
			f.dport = CAM;
		if (f.proto == ICMP && (!from || random_once(r, 2))) {
			f.icmp_type = ECHO_REPLY_TYPE;
			f.sport = f.dport;
		}
	}
	size = frame_build(&f, frame);
	p.of = ends_at(frame + 14, p.proto);
	send_one(s, &p, frame, size);
}

/* One datagram of each tenant, or to each, of the same endpoints and with one identification, their pieces in any
 * order. */
static void send_datagrams(struct state *s, bool from_inside)
{
	static const unsigned orders[][4] = { { 1, 2, 1, 2 }, { 1, 2, 2, 1 }, { 2, 1, 2, 1 }, { 1, 1, 2, 2 } };
	const unsigned *order = PICK(&s->r, orders);
	bool sent[3] = { 0 };

	for (unsigned k = 0; k < 4; k++) {
		unsigned tenant = order[k], from = from_inside ? tenant : OUTSIDE;
		bool later = sent[tenant];
		struct frame f = { .from = station_of(from, false),
				   .to = station_of(from, true),
				   .src = from ? SUBSCRIBER : EXTERNAL,
				   .dst = from ? EXTERNAL : pool_of_side[tenant],
				   .proto = UDP,
				   .sport = from ? 5000 : 53,
				   .dport = (uint16_t)(from ? 53 : OUT_PORT(5000, 2)),
				   .payload = 1600 };
		struct sent p = { .from = from, .proto = UDP, .later = later };
		uint8_t whole[FRAME_MAX], piece[FRAME_MAX];
		size_t size;

		frame_build(&f, whole);
		size = frame_fragment(whole, (uint16_t)s->i, later ? 800 : 0, later ? 1608 : 800, !later, piece);
		p.of = ends_at(whole + 14, UDP);
		send_one(s, &p, piece, size);
		sent[tenant] = true;
	}
}

/* An error about a packet of a session that some tenant has had, from outside or from either tenant. */
static void send_error(struct state *s, unsigned from)
{
	const struct note *n = &s->note[random_below(&s->r, (uint32_t)s->notes)];
	struct icmp_error e = { .from = station_of(from, false),
				.to = station_of(from, true),
				.src = from ? n->in : UNMAPPED,
				.dst = from ? n->ext : n->out,
				.type = 3,
				.code = 3,
				.quote = { .ttl = 9, .proto = n->proto, .payload = 33 } };
	struct sent p = { .from = from, .proto = n->proto, .error = true };
	uint8_t frame[FRAME_MAX];
	size_t size;

	if (n->proto == ICMP || !n->out)
		return;
	p.of = from ? (struct ends){ n->ext, n->in, n->ext_port, n->in_port }
		    : (struct ends){ n->out, n->ext, n->out_port, n->ext_port };
	e.quote.src = p.of.src;
	e.quote.dst = p.of.dst;
	e.quote.sport = p.of.sport;
	e.quote.dport = p.of.dport;
	size = icmp_error_build(&e, frame);
	send_one(s, &p, frame, size);
}

static void expect_all(const struct tally *t)
{
	for (unsigned side = FIRST; side <= SECOND; side++) {
		cr_expect_gt(t->outwards[side], 0);
		cr_expect_gt(t->answers[side], 0);
		cr_expect_gt(t->hairpins[side][FIRST], 0);
		cr_expect_gt(t->hairpins[side][SECOND], 0);
		cr_expect_gt(t->pieces[side], 0);
		cr_expect_gt(t->errors_in[side], 0);
		cr_expect_gt(t->errors_out[side], 0);
		cr_expect_gt(t->portmaps[side], 0);
		cr_expect_gt(t->kernel[side], 0);
		printf("tenant %u: %u outwards, %u answers, %u and %u hairpins, %u later fragments, %u and %u errors, "
		       "%u by portmaps, %u by the kernel\n",
		       side, t->outwards[side], t->answers[side], t->hairpins[side][FIRST], t->hairpins[side][SECOND],
		       t->pieces[side], t->errors_in[side], t->errors_out[side], t->portmaps[side], t->kernel[side]);
	}
	cr_expect_gt(t->dropped, 0);
}

Test(tenants_shared_random, each_packet_is_for_the_right_subscriber_of_the_right_tenant, .timeout = 300)
{
	const char *chosen = getenv("DETNAT_PROPERTY_SEED");
	static struct state s;

	if (staged_wanted())
		cr_skip_test("an agent never has two stages and tenants");
	s.r.state = chosen ? strtoull(chosen, NULL, 10) : SEED;
	printf("tenants with shared addresses, seed %llu\n", (unsigned long long)s.r.state);
	for (; s.i < rounds_of(ROUNDS); s.i++) {
		unsigned from = random_below(&s.r, 3);

		if (random_once(&s.r, 10))
			send_datagrams(&s, from != OUTSIDE);
		else if (s.notes && random_once(&s.r, 6))
			send_error(&s, from);
		else
			send_packet(&s, from);
	}
	expect_all(&s.t);
}
