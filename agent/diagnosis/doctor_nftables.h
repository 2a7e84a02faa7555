/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains and rules of nftables, as the doctor's checks read them. */
#ifndef DETNAT_DOCTOR_NFTABLES_H
#define DETNAT_DOCTOR_NFTABLES_H

#include <limits.h>

#include "diagnosis/doctor_private.h"
#include "host/netlink.h"

struct chains {
	struct doctor *d;
	unsigned found;
};

struct chain {
	const char *table;
	const char *name;
	uint8_t family;
	uint32_t hook;
	bool has_rules;
	bool drops; /* by its policy */
	bool nat;   /* of that type */
};

/* Visits nftables objects of a kind. message: NFT_MSG_GET…, for a dump. */
void nft_visit(uint16_t message, netlink_visit visit, void *arg);

/* The guard's, of this gateway or of another one on the machine. */
bool nft_is_own_table(const struct nlattr *name);

/* Reads a chain at a hook. False: it is of another kind, or detnat's own. */
bool chain_parse(const struct nlmsghdr *h, struct chain *ret);

/* Whether its rules do NAT at the end of the kernel's way. */
bool chain_is_masquerade(const struct chain *c);

/* The verdict of an expression of a rule, NF_… or enum nft_verdicts; NFT_NO_VERDICT: it is of another kind. */
#define NFT_NO_VERDICT INT_MIN
int nft_verdict(const struct nlattr *expression);

#endif
