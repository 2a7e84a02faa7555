/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds the guard's nftables table as netlink messages; nothing is sent. */
#ifndef DETNAT_RULES_H
#define DETNAT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/prefix6.h>
#include <detnat/tables.h>

#include "base/base.h"
#include "guard/batch.h"

/* Space for the longest name that guard_table_name() makes. */
#define GUARD_NAME    32
#define GUARD_COMMENT 128

/* The table's counters, named after the reasons that they are added to. */
#define GUARD_COUNTER_OUT "drop_guard_out"
#define GUARD_COUNTER_IN  "drop_guard_in"

/* Padded so that the padding of messages terminates them, see batch_message(). */
_Static_assert(sizeof(GUARD_COUNTER_OUT) % 4 != 1 && sizeof(GUARD_COUNTER_IN) % 4 != 1, "some padding");

/* Name prefix of the set with interface indexes; the other sets hold addresses. */
#define GUARD_SET_INTERFACES "interfaces"

/* There are two places for sets; the rules look in one of them. */
#define GUARD_PLACES 2

/* An inside prefix of IPv6 subscribers, and the NAT64 prefix of their mapping. */
struct guard_six {
	struct address6 in;
	struct address6 nat64;
	uint8_t in_plen;
	uint8_t nat64_plen;
	uint8_t pad[6];
};

struct guard_rules {
	char table[GUARD_NAME];
	char comment[GUARD_COMMENT]; /* identifies the table as a guard's */
	/* Disjoint and sorted. */
	struct address_range *inside;
	size_t n_inside;
	struct address_range *bypass;
	size_t n_bypass;
	/*
	 * Inside prefixes that are not being translated for the moment: their packets are dropped at every interface.
	 */
	struct address_range *held;
	size_t n_held;
	struct guard_six *six;
	size_t n_six;
	/* Indexes of inside interfaces and of outside interfaces that carry the programs. */
	const uint32_t *interfaces;
	size_t n_interfaces;
	/* Which of the two places for sets is used: 0 or 1. */
	unsigned place;
};

/* The name and the comment of the table that belongs to a pin path. */
void guard_table_name(const char *pin_path, char name[static GUARD_NAME], char comment[static GUARD_COMMENT]);

/* Names of the sets that the table may have, by number; NULL ends the list. */
const char *guard_set_name(unsigned number);

/*
 * Transactions. Each returns 0 or -ENOMEM; free *ret with batch_free() also after failures. flags: NFT_TABLE_F_*.
 *
 * An existing table is replaced in two transactions: guard_rules_fill() creates sets in the place that no rule uses,
 * then guard_rules_turn() replaces the rules by ones that use them and deletes the former sets.
 */

/* Creates the table; with `anew`, deletes an existing one first. */
int guard_rules_make(const struct guard_rules *rules, uint32_t flags, bool anew, struct guard_batch *ret);

/* Fails with -EBUSY, without any effect on the rules, if rules use the sets of rules->place. */
int guard_rules_try(const struct guard_rules *rules, struct guard_batch *ret);

int guard_rules_fill(const struct guard_rules *rules, uint32_t flags, struct guard_batch *ret);
int guard_rules_turn(const struct guard_rules *rules, struct guard_batch *ret);

/* Deletes the table. */
int guard_rules_remove(const struct guard_rules *rules, struct guard_batch *ret);

/* The sets of the guard's table. */

struct guard_set {
	const char *name;
	uint32_t id;	/* unique within the batch */
	uint32_t type;	/* nft's number for the type of keys */
	uint32_t flags; /* NFT_SET_* */
};

/* Creates an empty set, or deletes one whether or not it exists. Deleting a set that rules use fails (-EBUSY). */
void guard_make_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);
void guard_delete_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);

/* Adds disjoint, sorted ranges to a set of intervals, or interface indexes to another. */
void guard_put_ranges(struct guard_batch *b, const struct guard_rules *rules, const char *name,
		      const struct address_range *range, size_t n);
void guard_put_indexes(struct guard_batch *b, const struct guard_rules *rules, const char *name, const uint32_t *index,
		       size_t n);

#endif
