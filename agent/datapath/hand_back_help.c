/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What 1.0.0 makes empty and would fill too late: the interfaces of its second stage, to which its first one hands
 * frames from the first moment, and datagrams whose fragments are under way.
 */
#include <bpf/bpf.h>
#include <sys/mman.h>

#include <detnat/fragments.h>

#include "datapath/hand_back_private.h"
#include "datapath/migration_private.h"

static void enter_ports(const struct hand_back *h, const char *former)
{
	_cleanup_close_ int ports = migration_pin(former, "ports"), entry = migration_pin(former, "prog_stage2_entry");
	struct bpf_devmap_val port = { .bpf_prog.fd = entry };
	uint32_t ifindex, *at = NULL;

	for (; ports >= 0 && entry >= 0 && !bpf_map_get_next_key(h->datapath->ports, at, &ifindex); at = &ifindex) {
		port.ifindex = ifindex;
		bpf_map_update_elem(ports, &ifindex, &port, BPF_NOEXIST);
	}
}

static void enter_fragments(struct hand_back *h, const char *former)
{
	_cleanup_close_ int to = migration_pin(former, "fragments");
	struct fragment_key key, *at = NULL;
	struct fragment e, there;

	for (; to >= 0 && !bpf_map_get_next_key(h->datapath->fragments, at, &key); at = &key)
		h->datagrams += bpf_map_lookup_elem(to, &key, &there) &&
				!bpf_map_lookup_elem(h->datapath->fragments, &key, &e) &&
				!bpf_map_update_elem(to, &key, &e, BPF_NOEXIST);
}

void hand_back_help(struct hand_back *h, const char *former)
{
	enter_ports(h, former);
	enter_fragments(h, former);
}

void hand_back_count_datagrams(struct hand_back *h, const char *former)
{
	_cleanup_close_ int mappings = migration_pin(former, "mappings");
	size_t size;
	struct former_mapping_table *table = h->datagrams ? migration_mmap(mappings, &size) : NULL;

	if (!table)
		return;
	__atomic_fetch_add(&table->datagrams, h->datagrams, __ATOMIC_ACQ_REL);
	h->datagrams = 0;
	munmap(table, size);
}
