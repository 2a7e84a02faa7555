/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What 1.0.0 makes empty and would fill too late: the interfaces of its second stage, to which its first one hands
 * frames from the first moment, and datagrams whose fragments are under way.
 */
#include <bpf/bpf.h>
#include <sys/mman.h>

#include <detnat/fragments.h>

#include "datapath/hand_back_private.h"
#include "datapath/map_keys.h"
#include "datapath/migration_private.h"

static void enter_ports(const struct hand_back *h, const char *former)
{
	_cleanup_close_ int ports = migration_pin(former, "ports"), entry = migration_pin(former, "prog_stage2_entry");
	struct bpf_devmap_val port = { .bpf_prog.fd = entry };
	size_t n;
	_cleanup_free_ uint32_t *keys = map_keys(h->datapath->ports, sizeof(*keys), &n);

	for (size_t i = 0; keys && ports >= 0 && entry >= 0 && i < n; i++) {
		port.ifindex = keys[i];
		bpf_map_update_elem(ports, &keys[i], &port, BPF_NOEXIST);
	}
}

static void enter_fragments(struct hand_back *h, const char *former)
{
	_cleanup_close_ int to = migration_pin(former, "fragments");
	size_t n;
	_cleanup_free_ struct fragment_key *keys = map_keys(h->datapath->fragments, sizeof(*keys), &n);
	struct fragment e, there;

	for (size_t i = 0; keys && to >= 0 && i < n; i++)
		h->datagrams += bpf_map_lookup_elem(to, &keys[i], &there) &&
				!bpf_map_lookup_elem(h->datapath->fragments, &keys[i], &e) &&
				!bpf_map_update_elem(to, &keys[i], &e, BPF_NOEXIST);
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
