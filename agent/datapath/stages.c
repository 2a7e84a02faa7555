/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches stage 2 with the main programs, and enters interfaces for it: see <detnat/stages.h>. */
#include <bpf/bpf.h>
#include <errno.h>

#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

bool settings_have_stages(const struct settings *s)
{
	return s->stages == 2 && !s->trace;
}

static void allow(const struct datapath *d, unsigned generation)
{
	if (d->stages)
		__atomic_store_n(&d->stages->generation, generation, __ATOMIC_SEQ_CST);
}

void stages_stop(const struct datapath *d)
{
	allow(d, 0);
}

int stages_start(const struct datapath *d, const struct datapath_build *b)
{
	uint32_t zero = 0, id;

	if (b->stage2 < 0 && bpf_map_lookup_elem(d->stage2_entries, &zero, &id))
		return 0;
	/* All frames marked by the former programs have left through their stage 2. */
	datapath_grace_period(d);
	if (b->stage2 < 0)
		return bpf_map_delete_elem(d->stage2_entries, &zero);

	int r = bpf_map_update_elem(d->stage2_entries, &zero, &b->stage2, BPF_ANY);

	if (!r)
		allow(d, b->generation);
	return r;
}

unsigned datapath_stages(const struct datapath *d)
{
	return settings_have_stages(&d->settings) && d->stages && d->stages->generation ? 2 : 1;
}

bool datapath_has_port(const struct datapath *d, uint32_t ifindex)
{
	struct bpf_devmap_val port;

	return !bpf_map_lookup_elem(d->ports, &ifindex, &port) && port.bpf_prog.id == program_id(d->stage2_entry);
}

int datapath_add_port(const struct datapath *d, uint32_t ifindex)
{
	struct bpf_devmap_val port = { .ifindex = ifindex, .bpf_prog.fd = d->stage2_entry };

	return datapath_has_port(d, ifindex) ? 0 : bpf_map_update_elem(d->ports, &ifindex, &port, BPF_ANY);
}

void datapath_del_port(const struct datapath *d, uint32_t ifindex)
{
	bpf_map_delete_elem(d->ports, &ifindex);
}
