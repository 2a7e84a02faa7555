/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which IPv6 prefix a virtual address stands for, and the other way round: the ranges of virtual addresses of this
 * process.
 *
 * Tables, configurations and histories know a subscriber that is an IPv6 prefix by a virtual IPv4 address,
 * <detnat/prefix6.h>. Texts have the prefix: whatever comes from a text or goes into one passes the functions below.
 *
 * A range is of consecutive subscribers' prefixes of one length. It begins with the first prefix that it was asked for;
 * prefixes within that have a part of it. Ranges never overlap, and a range that is kept is never used for anything
 * else in this process: those of the tables, and of every line of a history that was read. So a virtual address means
 * one prefix as long as the process runs, and as the history has the virtual addresses as well, as long as the history
 * is kept. The functions may be called by several threads.
 */
#ifndef DETNAT_VIRTUAL6_H
#define DETNAT_VIRTUAL6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/prefix6.h>

#include "base/address.h"

/* Enough for two prefixes of 64 bits, and for any text of an IPv4 address. */
#define INSIDE_TEXT 64

/* Subscribers' prefixes: the first, and how many more. */
struct prefixes6 {
	uint64_t hi;   /* upper half of the first, host byte order */
	uint32_t last; /* their number less 1 */
	uint8_t plen;  /* of each, 48..64 */
};

static inline bool virtual6_is(uint32_t addr)
{
	return addr >> (32 - VIRTUAL_PLEN) == VIRTUAL_BASE >> (32 - VIRTUAL_PLEN);
}

/* Whether an inside prefix or range is of virtual addresses. */
static inline bool prefix_is_virtual(struct prefix p)
{
	return p.plen && !prefix_is_none(p) && virtual6_is(p.base);
}

/* The subscribers of a prefix that is shorter than theirs, whose number has at most SUBSCRIBER_BITS_MAX bits. */
static inline struct prefixes6 prefixes6_of(uint64_t hi, unsigned plen, unsigned subscriber_plen)
{
	return (struct prefixes6){ hi & mask64(plen), (1U << (subscriber_plen - plen)) - 1, (uint8_t)subscriber_plen };
}

/*
 * The virtual addresses of the subscribers of a prefix: those that they have already, as a part of the largest range
 * around them, or else a new range, around those of prefixes within if their surroundings are free. A new range is
 * where these are: of eight prefixes of 2^24 subscribers each and all that are within them, and of more as long as
 * those that share a sixteenth of the addresses leave it. In what order prefixes within each other are placed matters:
 * the outermost first.
 * 0, -ENOSPC if no range is free, or -ENOMEM.
 */
int virtual6_place(const struct prefixes6 *p, struct prefix *ret);

/*
 * Notes that subscribers have the virtual addresses from `first` on, and keeps the range. 0, -EEXIST if some of these
 * mean another prefix, -EINVAL if they are none, or -ENOMEM.
 */
int virtual6_claim(const struct prefixes6 *p, uint32_t first);

/* Keeps the range of virtual addresses. */
void virtual6_keep(uint32_t first);

/* The prefixes that virtual addresses stand for; false: it is not known. */
bool virtual6_prefixes(struct prefix in, struct prefixes6 *ret);

/*
 * Iterates over the virtual addresses of subscribers in whose prefix an address is: there is more than one if a prefix
 * has had subscribers of several lengths. *at is 0 at first. false: there are no more.
 */
bool virtual6_next(const struct address6 *addr, size_t *at, uint32_t *ret);

/*
 * An inside address, or a prefix or range of them, as people read it: of an IPv4 subscriber his address, of an IPv6 one
 * his prefix, "2001:db8:4000:1200::/56"; of several, the prefix around them, or "2001:db8::/56-2001:db8:0:2ff::/56".
 * Every inside address that becomes text does so here.
 */
const char *inside_text(uint32_t addr, char text[static INSIDE_TEXT]);
const char *inside_prefix_text(struct prefix in, char text[static INSIDE_TEXT]);

/* The same of subscribers' prefixes. */
const char *prefixes6_text(const struct prefixes6 *p, char text[static INSIDE_TEXT]);

/* Reads such a text: 0 or -EINVAL. A prefix must be longer than 0, not longer than theirs, and have no host bits. */
int prefixes6_parse(const char *text, unsigned subscriber_plen, struct prefixes6 *ret);

const char *address6_text(const struct address6 *addr, char text[static INSIDE_TEXT]);

/* An address alone; a prefix "2001:db8::/32", of which host bits are left as they are; "[2001:db8::1]:443". */
int address6_parse(const char *text, struct address6 *ret);
int prefix6_parse(const char *text, struct address6 *ret, unsigned *ret_plen);
int endpoint6_parse(const char *text, struct address6 *ret, uint16_t *ret_port);

/* For tests: forgets all ranges. */
void virtual6_forget(void);

#endif
