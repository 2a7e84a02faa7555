// SPDX-License-Identifier: BSD-2-Clause
/* Bindings of granted ports as the agent sees them, over tables whose programs know none: it removes entries itself. */
#include <bpf/bpf.h>
#include <netinet/in.h>

#include <detnat/binding.h>

#include "growing_fixture.h"
#include "sessions/granted_ports.h"

static void setup(void)
{
	growing_setup();
	gr.d.grant_bindings = bpf_map_create(BPF_MAP_TYPE_HASH, "grant_bindings", sizeof(struct grant_binding_key),
					     sizeof(struct grant_binding), 8192, NULL);
	cr_assert(gr.d.grant_bindings >= 0);
}

TestSuite(granted_ports, .init = setup, .fini = growing_teardown, .timeout = 60);

static void put(struct grant_binding_key key, struct grant_binding b)
{
	cr_assert_eq(bpf_map_update_elem(gr.d.grant_bindings, &key, &b, BPF_ANY), 0);
}

static struct granted_port bind_port(uint32_t in_addr, uint16_t in_port, uint16_t out_port, uint8_t proto)
{
	put((struct grant_binding_key){ in_addr, gr.out, in_port, proto, GRANT_BOUND_INSIDE },
	    (struct grant_binding){ .addr = gr.out, .seen = 77, .port = out_port });
	put((struct grant_binding_key){ 0, gr.out, out_port, proto, GRANT_BOUND_OUTSIDE },
	    (struct grant_binding){ .addr = in_addr, .port = in_port });
	return (struct granted_port){ .in_addr = in_addr,
				      .out_addr = gr.out,
				      .seen = 77,
				      .in_port = in_port,
				      .out_port = out_port,
				      .proto = proto };
}

static unsigned entries(void)
{
	struct grant_binding_key key, *at = NULL;
	unsigned n = 0;

	while (!bpf_map_get_next_key(gr.d.grant_bindings, at, &key)) {
		at = &key;
		n++;
	}
	return n;
}

struct seen {
	unsigned n, stop_at;
	uint64_t sum;
};

static int see(const struct granted_port *p, void *arg)
{
	struct seen *s = arg;

	cr_expect(p->in_addr == gr.in && p->out_addr == gr.out && p->seen == 77 && p->proto == IPPROTO_UDP);
	cr_expect_eq(p->out_port, p->in_port + 1000);
	s->sum += p->in_port;
	return ++s->n == s->stop_at ? 9 : 0;
}

Test(granted_ports, each_is_visited_once_with_both_its_ports)
{
	struct granted_port_scan scan = { 0 };
	struct seen s = { 0 };
	uint64_t sum = 0;
	int r;

	for (uint16_t i = 0; i < 1500; i++) {
		bind_port(gr.in, 50000 + i, 51000 + i, IPPROTO_UDP);
		sum += 50000U + i;
	}
	while ((r = granted_ports_step(&scan, &gr.d, see, &s)) > 0)
		;
	cr_expect_eq(r, 0);
	cr_expect(s.n == 1500 && s.sum == sum, "%u", s.n);
	granted_ports_end(&scan);
	cr_expect(!scan.keys && !scan.values && !scan.started);
	s = (struct seen){ .stop_at = 3 };
	while ((r = granted_ports_step(&scan, &gr.d, see, &s)) == 1)
		;
	cr_expect(r == 9 && s.n == 3, "a visitor ends the visits");
	granted_ports_end(&scan);
	gr.d.grant_bindings = -1;
	cr_expect_eq(granted_ports_step(&scan, &gr.d, see, &s), 0, "programs without them");
}

Test(granted_ports, those_of_a_block_are_forgotten_in_all_protocols_and_none_beside_it)
{
	const uint16_t lo = SHARED + 3 * BLOCK;

	bind_port(gr.in, 5000, lo, IPPROTO_UDP);
	bind_port(gr.in, 5001, lo + BLOCK - 1, IPPROTO_TCP);
	bind_port(gr.in, 5002, lo + 9, IPPROTO_ICMP);
	bind_port(gr.in + 1, 5003, lo - 1, IPPROTO_UDP);
	bind_port(gr.in + 1, 5004, lo + BLOCK, IPPROTO_UDP);
	put((struct grant_binding_key){ .in_addr = gr.in, .out_addr = gr.out, .direction = GRANT_BOUND_COUNT },
	    (struct grant_binding){ .seen = 3 });
	granted_ports_forget(gr.m, gr.out, lo, BLOCK);
	cr_expect_eq(entries(), 4, "%u", entries());
	granted_ports_forget(gr.m, gr.out, lo + BLOCK, BLOCK);
	cr_expect_eq(entries(), 2, "%u", entries());
}

Test(granted_ports, the_sweep_removes_one_whose_port_is_not_granted_to_its_subscriber)
{
	struct mapping_spec spec = growing_spec(BLOCK, 2);
	struct prefix i, o;
	struct granted_port p;

	prefix_parse("10.0.0.0/25", &i);
	prefix_parse("203.0.113.200/32", &o);
	cr_assert_eq(mappings_del_of(gr.m, 0, i, o), 0);
	spec.bindings = (struct binding_layout){ .mapping = BINDING_UDP };
	gr.number = tables_add(gr.m, &spec);
	made(gr.in, 3);
	p = bind_port(gr.in, 5000, SHARED + 3 * BLOCK + 5, IPPROTO_UDP);
	p.seen = datapath_ticks(&gr.d);
	granted_port_sweep(gr.m, &p, p.seen);
	cr_expect_eq(entries(), 2, "it is valid");
	p = bind_port(gr.in + 1, 5000, SHARED + 3 * BLOCK + 6, IPPROTO_UDP);
	granted_port_sweep(gr.m, &p, p.seen);
	cr_expect_eq(entries(), 2, "of another subscriber");
	p = bind_port(gr.in, 5001, SHARED + 4 * BLOCK, IPPROTO_UDP);
	granted_port_sweep(gr.m, &p, p.seen);
	cr_expect_eq(entries(), 2, "of a block that is nobody's");
	p = bind_port(gr.in, 5001, SHARED + 3 * BLOCK + 7, IPPROTO_TCP);
	granted_port_sweep(gr.m, &p, p.seen);
	cr_expect_eq(entries(), 2, "of a protocol whose ports are not bound");
	p = bind_port(gr.in, 5001, 1024 + 3 * FEW, IPPROTO_UDP);
	granted_port_sweep(gr.m, &p, p.seen);
	cr_expect_eq(entries(), 2, "of the subscriber's own block");
}
