/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings and the memory of their subscribers and slots: opened, looked up, read. tables/mapping_changes.h adds,
 * changes and deletes them; tables/mapping_drains.h has those whose sessions continue for a while.
 *
 * The datapath sees a mapping as soon as its index entries point to it. It has forgotten the mapping once these are
 * cleared and a grace period has passed; only then is the memory reused. Work that grows with the mapping (making
 * chunks, clearing ranges) runs in threads or in steps of a millisecond, so that the event loop keeps turning.
 */
#ifndef DETNAT_MAPPINGS_H
#define DETNAT_MAPPINGS_H

#include "datapath/datapath.h"

struct mappings;
/*
 * Maps the tables. Takes over the mappings that an earlier agent pinned: the records in the index say which ranges are
 * in use. Ranges without a mapping (an agent was killed during an addition or deletion) are cleared. The datapath must
 * outlive the result.
 */
int mappings_open(struct datapath *d, struct mappings **ret, struct error *err);
void mappings_close(struct mappings *m);

/* Octets of memory for the tables of such a mapping, and for its slots alone. */
uint64_t mappings_memory(struct prefix in, uint32_t session_slots);
uint64_t mappings_slot_memory(struct prefix in, uint32_t session_slots);

/* Octets of memory for bindings of these protocols, BINDING_…, in addition. */
uint64_t mappings_binding_memory(const struct geometry *g, uint32_t session_slots, uint8_t protocols);

/* Octets that the machine can provide without swapping; UINT64_MAX if unknown. */
uint64_t memory_available(void);

/*
 * Number of the mapping, 0..MAX_MAPPINGS-1, or -ENOENT. Several tenants may have the same inside prefix without an
 * outside one: mappings_find_of() finds the one of the tenant, or the one that was there before there were tenants;
 * mappings_find() any.
 */
int mappings_find(const struct mappings *m, struct prefix in, struct prefix out);
int mappings_find_of(const struct mappings *m, uint8_t tenant, struct prefix in, struct prefix out);
int mappings_find_outside(const struct mappings *m, uint32_t out_addr);

/* The tenant of the mapping of an outside address; 0: none. */
uint8_t mappings_outside_tenant(const struct mappings *m, uint32_t out_addr);

/*
 * The mapping of a tenant that covers an inside address, or -ENOENT. tenant 0: there are no tenants, or it is not
 * known, as for mappings_find_any().
 */
int mappings_find_inside(const struct mappings *m, uint8_t tenant, uint32_t in_addr);
/* The same for an address whose tenant is not known: -EEXIST if several tenants have it. */
int mappings_find_any(const struct mappings *m, uint32_t in_addr);

/* Whether there cannot be more mappings, as those that drain count, too. */
bool mappings_full(const struct mappings *m);

/* The next mapping number in use at or above `from`, or -1. */
int mappings_next(const struct mappings *m, int from);

/* How many are in use, and the inside addresses of each, in order of tenant and address. */
size_t mappings_in_use(const struct mappings *m);
struct inside_range mappings_range_at(const struct mappings *m, size_t at);

/*
 * The number of the mapping with sessions that covers a place, inside_place() of base/inside_runs.h, else of the next
 * one above it, or -1: iterates in order of tenant and address. *ret_first..*ret_last are its places there, all of one
 * tenant, for example up to those of a mapping within it.
 */
int mappings_next_inside(const struct mappings *m, uint64_t place, uint64_t *ret_first, uint64_t *ret_last);

/* Number of the tenant's mapping with the longest inside prefix that contains this one, or -ENOENT. */
int mappings_around(const struct mappings *m, uint8_t tenant, struct prefix in);

/* Whether one in use has IPv6 subscribers: programs for them are needed until it is gone. */
bool mappings_have_ipv6(const struct mappings *m);

/* The record of a mapping in use. */
const struct mapping *mappings_get(const struct mappings *m, int number);

/*
 * A subscriber's record and its 1 << bucket_shift buckets, in shared memory. subscriber: its number within the mapping.
 */
struct subscriber *mappings_subscriber(const struct mappings *m, int number, uint32_t subscriber);
struct bucket *mappings_buckets(const struct mappings *m, int number, uint32_t subscriber);

/* A subscriber's line of limits, in shared memory; NULL: the mapping has none. */
struct limit_line *mappings_limit_line(const struct mappings *m, int number, uint32_t subscriber);

/*
 * The entry of an outside port, an offset in the subscriber's block, in its bindings of a protocol; NULL: the mapping
 * has no bindings of it. The eight of a group are consecutive.
 */
uint64_t *mappings_binding(const struct mappings *m, int number, uint32_t subscriber, uint8_t proto,
			   uint32_t port_offset);

/* Maximum number of sessions opened to a subscriber from outside: some may have ended. */
uint32_t mappings_inbound(const struct mappings *m, int number, uint32_t subscriber);

/* Whether the session in a subscriber's slot was opened from outside. */
bool mappings_slot_inbound(const struct mappings *m, int number, uint32_t subscriber, uint32_t slot);

/* Number of subscribers from this one on with contiguous records and contiguous buckets. */
uint32_t mappings_run(const struct mappings *m, int number, uint32_t subscriber);

/* The name of a tenant by its number, as mappings_name_tenant() was told; "": 0, or not known. */
const char *mappings_tenant_name(const struct mappings *m, uint8_t tenant);
void mappings_name_tenant(struct mappings *m, uint8_t tenant, const char *name);

static inline bool mapping_is_ipv6(const struct mapping *record)
{
	return record->geo.flags & MAPPING_IPV6;
}

/* Bits of last seen in the words of its sessions that tell the host, see word_age_of(). */
static inline uint32_t mapping_host_bits(const struct mapping *record)
{
	return mapping_is_ipv6(record) ? HOST_BITS : 0;
}

/* Whether two of its sessions are of one host: those of an IPv6 subscriber may have flows of the same ports. */
static inline bool mapping_same_host(const struct mapping *record, uint64_t word, uint64_t other)
{
	return !mapping_is_ipv6(record) || word_host(word) == word_host(other);
}

/*
 * The address of a host of a subscriber of a mapping of IPv6, by its number, word_host(). It may be another's by now,
 * unless a session that names it is still there: rule 3 of <detnat/session.h>.
 */
struct address6 mappings_host(const struct mappings *m, const struct mapping *record, uint32_t in_addr, uint32_t host);

/* An IPv4 address as the hosts of such a mapping know it. */
struct address6 mappings_ext6(const struct mappings *m, const struct mapping *record, uint32_t addr);

/* Whether an address is in the NAT64 prefix of a mapping, and for which of IPv4 it stands. */
bool mappings_ext6_is(const struct mappings *m, const struct address6 *addr, uint32_t *ret);

/* Hosts that each of its subscribers may have at once. */
unsigned mappings_hosts(const struct mappings *m, const struct mapping *record);

/* The datapath of the tables. */
struct datapath *mappings_datapath(const struct mappings *m);

/* Octets of all tables, including chunks and fixed maps. */
uint64_t mappings_table_memory(const struct mappings *m);

/*
 * Takes a session that has ended, with its last state word, off the count of its protocol in the subscriber's line,
 * which may be NULL, and then off the subscriber's. That is not lowered below 0: the datapath may have recounted
 * meanwhile.
 */
static inline void session_uncount(struct subscriber *s, struct limit_line *line, uint64_t word)
{
	uint32_t n = __atomic_load_n(&s->sessions, __ATOMIC_RELAXED);

	if (word_state(word) == SESSION_TIME_WAIT)
		return;
	if (line)
		__atomic_fetch_sub(&line->sessions[limit_protocol_of(word_proto(word))], 1, __ATOMIC_ACQ_REL);
	while (n && !__atomic_compare_exchange_n(&s->sessions, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

#endif
