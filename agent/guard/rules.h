/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard's nftables table as netlink messages. Pure: nothing is sent. */
#ifndef DETNAT_RULES_H
#define DETNAT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "guard/batch.h"
#include "base/base.h"

/* Room for the longest name that guard_table_name() gives. */
#define GUARD_NAME    32
#define GUARD_COMMENT 128

/* Names of the table's counters, which are also the reasons that they are added to. */
#define GUARD_COUNTER_OUT "drop_guard_out"
#define GUARD_COUNTER_IN  "drop_guard_in"

/* So that the padding of messages ends them, see batch_message(). */
_Static_assert(sizeof(GUARD_COUNTER_OUT) % 4 != 1 && sizeof(GUARD_COUNTER_IN) % 4 != 1, "some padding");

/* With these the name begins of the set that has indexes of interfaces; the others have addresses. */
#define GUARD_SET_INTERFACES "interfaces"

/* For sets, of which the rules look in one. */
#define GUARD_PLACES 2

struct guard_rules {
	char table[GUARD_NAME];
	char comment[GUARD_COMMENT]; /* by which the table is known to be a guard's */
	/* Disjoint, in order. */
	struct address_range *inside;
	size_t n_inside;
	struct address_range *bypass;
	size_t n_bypass;
	/* Inside prefixes that are not translated for the moment: their packets are dropped at every interface. */
	struct address_range *held;
	size_t n_held;
	/* Inside interfaces, and outside interfaces that carry the programs, by index. */
	const uint32_t *interfaces;
	size_t n_interfaces;
	/* Which of the table's two places for sets these are in: 0 or 1. */
	unsigned place;
};

/* The table of the datapath under a pin path: its name, and the comment that it bears. */
void guard_table_name(const char *pin_path, char name[static GUARD_NAME], char comment[static GUARD_COMMENT]);

/* Names of the sets that the table may have, by number; NULL: no more. */
const char *guard_set_name(unsigned number);

/*
 * Transactions. Each returns 0 or -ENOMEM, and *ret is freed by batch_free(), after failures too. flags: NFT_TABLE_F_*.
 *
 * A table that stands is replaced by two of them: guard_rules_fill() makes sets in the place that no rule looks in, and
 * guard_rules_turn() makes rules that look there in place of those before, whose sets it takes away.
 */

/* Makes the table, and with anew takes away one that stands. */
int guard_rules_make(const struct guard_rules *rules, uint32_t flags, bool anew, struct guard_batch *ret);

/* Fails with -EBUSY where rules look in the sets of rules->place, and changes nothing that they see. */
int guard_rules_try(const struct guard_rules *rules, struct guard_batch *ret);

int guard_rules_fill(const struct guard_rules *rules, uint32_t flags, struct guard_batch *ret);
int guard_rules_turn(const struct guard_rules *rules, struct guard_batch *ret);

/* Takes the table away. */
int guard_rules_remove(const struct guard_rules *rules, struct guard_batch *ret);

#endif
