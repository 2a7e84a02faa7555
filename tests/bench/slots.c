// SPDX-License-Identifier: BSD-2-Clause
/* What sharing an interface through libxdp's dispatcher costs, see slots.bpf.c. */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "slots.skel.h"

#define SLOT_ROUNDS  9
#define SLOT_PACKETS 1000000

/* Nanoseconds a packet, the least of all rounds: what takes longer was interrupted. */
static unsigned least_ns(const struct bpf_program *program)
{
	unsigned char packet[64] = { 0 };
	unsigned least = ~0U;

	for (unsigned i = 0; i < SLOT_ROUNDS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet),
			    .repeat = SLOT_PACKETS);

		if (bpf_prog_test_run_opts(bpf_program__fd(program), &o) || o.retval != XDP_PASS)
			die("a program of the dispatcher's cost", -errno);
		if (o.duration < least)
			least = o.duration;
	}
	return least;
}

void report_slots(void)
{
	struct slots *o = slots__open();
	uint32_t zero = 0;
	int last, r = o ? 0 : -errno;

	if (!r) {
		o->rodata->goes_on = 1U << XDP_PASS;
		r = slots__load(o);
	}
	if (r)
		die("the programs of the dispatcher's cost", r);
	last = bpf_program__fd(o->progs.last);
	if (bpf_map_update_elem(bpf_map__fd(o->maps.translator), &zero, &last, BPF_ANY))
		die("the entry of the dispatcher's cost", -errno);
	printf("\nan entry program alone %u ns, in a slot as of libxdp's dispatcher %u, between two others %u\n",
	       least_ns(o->progs.slots_none), least_ns(o->progs.slots_one), least_ns(o->progs.slots_three));
	slots__destroy(o);
}
