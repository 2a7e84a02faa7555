/* SPDX-License-Identifier: BSD-2-Clause */
/* nftables SNAT and its conntrack table. */
#ifndef DETNAT_BENCH_E2E_CONNTRACK_H
#define DETNAT_BENCH_E2E_CONNTRACK_H

#include <stdbool.h>
#include <stdint.h>

/* Limits of the machine, which no namespace may change: entries of a namespace, and buckets of the hash of all. */
uint64_t conntrack_max(void);
uint64_t conntrack_buckets(void);

/* Gateways needed side by side for so many entries, a power of two. */
uint32_t conntrack_lanes(uint64_t entries);

/* Has a namespace translate the hosts: each 1024 to an outside address of their own. */
void conntrack_set_up(int netns, uint32_t hosts);

/* Has packets of what it has translated pass nftables by, both ways. The kernel must have CONFIG_NF_FLOW_TABLE. */
void conntrack_add_flowtable(int netns);

/* Whether each packet's checksum is verified, as is the default. */
void conntrack_verify_checksums(int netns, bool verify);

uint64_t conntrack_count(int netns);
void conntrack_flush(int netns);

#endif
