/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/datapath.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <detnat/binding.h>

#include "datapath/datapath_private.h"

void datapath_init(struct datapath *d)
{
	*d = (struct datapath){
		.lock_fd = -1,
		.hz = datapath_hz(),
		.in_index = -1,
		.out_index = -1,
		.mappings = -1,
		.subscribers = -1,
		.buckets = -1,
		.extents = -1,
		.extent_pool = -1,
		.devices = -1,
		.vlans = -1,
		.route_mtus = -1,
		.untranslated = -1,
		.counters = -1,
		.events = -1,
		.fragments = -1,
		.early_fragments = -1,
		.unsolicited_syns = -1,
		.transmissions = -1,
		.next_hops_used = -1,
		.routed_flows = -1,
		.routed_until = -1,
		.portmaps = -1,
		.portmap_lines = -1,
		.portmap_filters = -1,
		.grants = -1,
		.grant_bindings = -1,
		.drains = -1,
		.records6 = -1,
		.hosts6 = -1,
		.indices6 = -1,
		.prefixes6 = -1,
		.addresses6 = -1,
		.running = -1,
		.entries = -1,
		.ports = -1,
		.stage_control = -1,
		.stage2_entries = -1,
		.stage2_entry = -1,
		.stage_drops = -1,
		.xdp_inside = -1,
		.xdp_outside = -1,
		.xdp_both = -1,
		.tc_outside = -1,
		.tc_bare = -1,
		.tc_entries = -1,
		.tc_from_inside = -1,
		.tc_from_outside = -1,
		.tc_from_both = -1,
		.redirect_entries = -1,
		.tc_send_inside = -1,
		.tc_send_outside = -1,
		.tc_send_both = -1,
		.tc_into_vrf = -1,
		.extent_release = -1,
		.grant_binding_change = -1,
		.agent_count = -1,
		.session_held = -1,
		.clock = -1,
		.trace_filter = -1,
		.trace_ring = -1,
		.trace_records = -1,
		.strangers = -1,
		.stranger_pools = -1,
		.stranger_hosts = -1,
		.fib_map = -1,
		.fib_nodes = -1,
		.grace = -1,
		.grace_inner = -1,
	};
}

int datapath_of_nothing(const char *pin_path, struct datapath *ret)
{
	datapath_init(ret);
	if (asprintf(&ret->pin_dir, "%s/v%u", pin_path, LAYOUT_VERSION) >= 0)
		return 0;
	ret->pin_dir = NULL;
	return -ENOMEM;
}

uint32_t datapath_hz(void)
{
	struct timespec tick;

	/* The coarse clocks advance once per jiffy. */
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
	/* Epoch 0 is that of an empty cache entry. */
	while (!__atomic_add_fetch(&d->global->epoch, 1, __ATOMIC_SEQ_CST))
		;
}

void datapath_grace_period(const struct datapath *d)
{
	uint32_t zero = 0;

	/* After an update of an array of maps the kernel waits for all running programs, even with nohz_full. */
	bpf_map_update_elem(d->grace, &zero, &d->grace_inner, BPF_ANY);
}

bool mapping_record_valid(const struct mapping *record)
{
	const struct geometry *g = &record->geo;
	const struct mapping_parameters p = mapping_parameters_of(g);
	struct geometry again;

	/* Not translated: only the inside addresses matter. */
	if (g->out_plen == PLEN_NONE)
		return (uint64_t)g->in_base + g->last_subscriber <= UINT32_MAX &&
		       g->in_plen == mapping_plen(g->in_base, g->last_subscriber) && !g->ports_per_host;
	if (g->flags & MAPPING_OPEN && (g->ratio != 1 || record->first_bucket != NO_BUCKETS))
		return false;
	if (mapping_make(&p, &again))
		return false;
	again.flags = g->flags;
	return g->flags <= MAPPING_FLAGS && !memcmp(g, &again, sizeof(again)) && record->bucket_shift <= 8 &&
	       !(record->first_bucket & ((1U << record->bucket_shift) - 1)) &&
	       !(record->bindings.protocols & ~BINDING_PROTOCOLS) &&
	       !(record->bindings.mapping & ~record->bindings.protocols);
}

uint64_t mapping_record_binding_buckets(const struct mapping *record)
{
	return record->bindings.protocols
		       ? binding_buckets(record->geo.last_subscriber + 1ULL, record->bindings.protocols,
					 record->geo.ports_per_host, record->bucket_shift)
		       : 0;
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
