/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/datapath.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "datapath/datapath_private.h"

uint32_t datapath_hz(void)
{
	struct timespec tick;

	/* The coarse clocks advance once a jiffy. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_nsec <= 0)
		return 100;
	return (uint32_t)((1000000000L + tick.tv_nsec / 2) / tick.tv_nsec);
}

uint32_t datapath_ticks(const struct datapath *d)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);

	if (bpf_prog_test_run_opts(d->clock, &run))
		return 0;
	return run.retval;
}

void datapath_raise_epoch(struct datapath *d)
{
	/* 0 is the epoch of no cache entry, as is 0 in the bits that a subscriber's record keeps of it. */
	while (!(__atomic_add_fetch(&d->global->epoch, 1, __ATOMIC_SEQ_CST) & HOP_EPOCH))
		;
}

void datapath_grace_period(const struct datapath *d)
{
	uint32_t zero = 0;

	/* The kernel waits for all running programs after an update of an array of maps, on machines with nohz_full
	 * too. */
	bpf_map_update_elem(d->grace, &zero, &d->grace_inner, BPF_ANY);
}

int datapath_count(const struct datapath *d, enum reason reason, uint32_t n)
{
	struct agent_count count = { .reason = reason, .n = n };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &count, .ctx_size_in = sizeof(count));

	return bpf_prog_test_run_opts(d->agent_count, &run) ? -errno : 0;
}

int datapath_counters(const struct datapath *d, struct counters *ret)
{
	int cores = libbpf_num_possible_cpus();
	uint64_t *sum = (uint64_t *)ret;
	uint32_t zero = 0;

	if (cores < 0)
		return cores;

	_cleanup_free_ uint64_t *values = calloc((size_t)cores, sizeof(*ret));
	int r = values ? bpf_map_lookup_elem(d->counters, &zero, values) : -ENOMEM;

	if (r)
		return r;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < (size_t)cores * N_REASONS; i++)
		sum[i % N_REASONS] += values[i];
	return 0;
}
