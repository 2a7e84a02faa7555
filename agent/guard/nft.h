/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's side of the guard: transactions, the table as it stands, its counters. Everything waits for answers. */
#ifndef DETNAT_NFT_H
#define DETNAT_NFT_H

#include "guard/image.h"
#include "guard/rules.h"
#include "base/base.h"

struct guard_nft;

/* -EPROTONOSUPPORT and the like where the kernel has no nfnetlink. */
int guard_nft_new(struct guard_nft **ret);
void guard_nft_free(struct guard_nft *n);

/* By which the kernel's notifications tell whose change they are of. */
uint32_t guard_nft_port(const struct guard_nft *n);

/*
 * Makes the table equal to the rules, or takes it away; in one transaction. While the socket is open nobody else can
 * change the table, where the kernel knows tables that have an owner and outlive it (6.9). -EEXIST: there is one of
 * that name which no guard has made; it is left alone. -EPERM: another process owns it. -EOPNOTSUPP, -ENOENT: the
 * kernel has not what it takes.
 */
int guard_nft_write(struct guard_nft *n, const struct guard_rules *rules);

/* The same, where the table that is there has more in it than is wanted: that is taken away first, counters included.
 */
int guard_nft_write_anew(struct guard_nft *n, const struct guard_rules *rules);

/*
 * What the table holds; freed by guard_image_free(), but after failures. -ENOENT: there is none of that name. -EINTR:
 * others change tables all the time.
 */
int guard_nft_read(struct guard_nft *n, const struct guard_rules *rules, struct guard_image *ret);

/* -ENOENT: there is none of a guard's. */
int guard_nft_look(struct guard_nft *n, const struct guard_rules *rules);
int guard_nft_remove(struct guard_nft *n, const struct guard_rules *rules);

/* Reads a counter of packets and sets it to 0, at once. */
int guard_nft_take(struct guard_nft *n, const char *table, const char *counter, uint64_t *ret_packets);

#endif
