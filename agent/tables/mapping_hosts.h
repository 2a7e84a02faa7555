/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the datapath has of mappings whose subscribers are IPv6 prefixes, <detnat/prefix6.h>: their second records, the
 * lines of their subscribers' hosts, the index of their inside prefixes, and the set of NAT64 prefixes.
 *
 * Everything else knows such a subscriber by its virtual address. In the index of inside addresses that the agent has,
 * these are hidden ranges: it says which mapping has which of them, and the index of prefixes is made of what it says.
 */
#ifndef DETNAT_MAPPING_HOSTS_H
#define DETNAT_MAPPING_HOSTS_H

#include <detnat/prefix6.h>

#include "tables/mapping_tables.h"

/* Whether a specification is of IPv6 subscribers, and valid: 0 or -EINVAL. */
int mapping_hosts_check(const struct mapping_spec *spec);

/*
 * Prepares the second record, and allocates the lines of hosts; makes the maps of IPv6 subscribers, if they are the
 * first. 0 or -errno, with err unless it is -ENOSPC. Does nothing for IPv4.
 */
int mapping_hosts_alloc(struct mapping_job *t, const struct mapping_spec *spec, struct error *err);

/* As the functions of mapping_limits.h. */
int mapping_hosts_make_step(struct mapping_job *t);
int mapping_hosts_take(struct mapping_job *t);
void mapping_hosts_give(struct mapping_job *t);
bool mapping_hosts_complete(const struct mapping_job *t);
void mapping_hosts_release_unused(struct mapping_job *t);
void mapping_hosts_retire(struct mapping_job *t);
enum chunks_release mapping_hosts_release_step(struct mapping_job *t);

/* Stores the second record of tables that are about to get a number, and enters their NAT64 prefix. 0 or -errno. */
int mapping_hosts_enter(struct mapping_job *t, int number);

/* Takes the NAT64 prefix out again, unless other mappings have it: once the mapping is no more in the index. */
void mapping_hosts_left(struct mappings *m, const struct mapping_job *t);

/* Changes in place what may change with sessions: the number of hosts, up to the lines; and the lowest MTU. */
void mapping_hosts_update(struct mapping_job *t, const struct mapping_spec *spec);

/* Of the tables that are taken over: finds the chunks of lines, as find_chunks() of mappings_open.c. */
int mapping_hosts_find(struct mappings *m, struct error *err);

/* Whether every subscriber of a mapping is in the index that an earlier agent left, be it as one of a nested mapping.
 */
bool mapping_hosts_indexed(const struct mappings *m, int number);

/* Compares the set of NAT64 prefixes with the mappings taken over. 0 or -errno. */
int mapping_hosts_settle(struct mappings *m);

/*
 * The index of prefixes is to be made anew: at once, or at the end of the change that mappings_begin() began. Each time
 * may wait for a grace period, as the programs may still read what is filled.
 */
void mappings_index6_changed(struct mappings *m);

/* Whether it is what it should be, as far as no change is under way. */
bool mappings_index6_right(const struct mappings *m);

/* Makes it anew now, if it is to be. */
void mappings_index6_publish(struct mappings *m);

/*
 * The ranges of an index made of inside prefixes that nest: those of live mappings of IPv6, and of mappings that drain
 * those of subscribers whom no live one has. Returns their number, which
 * may be beyond MAX_RANGES6, of which ret has as many as fit.
 */
size_t mappings_index6_ranges(const struct mappings *m, struct range6 ret[static MAX_RANGES6]);

/* Whether it has room for the pieces that a further prefix of virtual addresses, or one that is held, makes. */
bool mappings_index6_has_room(const struct mappings *m, struct prefix in);

#endif
