/* SPDX-License-Identifier: BSD-2-Clause */
/* Talks to the kernel's nf_tables: transactions, the present table, its counters. All calls block until the answer. */
#ifndef DETNAT_NFT_H
#define DETNAT_NFT_H

#include <event2/event.h>
#include <stdint.h>

#include "base/base.h"
#include "base/findings.h"
#include "guard/image.h"
#include "guard/rules.h"

struct guard_nft;

/* -EPROTONOSUPPORT or similar if the kernel has no nfnetlink. */
int guard_nft_new(struct guard_nft **ret);
void guard_nft_free(struct guard_nft *n);

/* The port by which the kernel's notifications identify changes made through this socket. */
uint32_t guard_nft_port(const struct guard_nft *n);

/*
 * Makes the table equal to the rules, or removes it, in one transaction. Where the kernel supports tables that have an
 * owner and outlive it (6.9), no other process can change the table while the socket is open. -EEXIST: a table of that
 * name was not made by a guard; it is left alone. -EPERM: another process owns it. -EOPNOTSUPP, -ENOENT: the kernel
 * lacks support.
 */
int guard_nft_write(struct guard_nft *n, const struct guard_rules *rules);

/* The same if the present table has more in it than wanted: deletes it first, counters included. */
int guard_nft_write_anew(struct guard_nft *n, const struct guard_rules *rules);

/*
 * Reads the table; on success the caller frees *ret with guard_image_free(). -ENOENT if there is none of that name.
 * -EINTR if other programs keep changing tables.
 */
int guard_nft_read(struct guard_nft *n, const struct guard_rules *rules, struct guard_image *ret);

/* -ENOENT if no guard has made one. */
int guard_nft_look(struct guard_nft *n, const struct guard_rules *rules);
int guard_nft_remove(struct guard_nft *n, const struct guard_rules *rules);

/* Reads a packet counter and resets it to 0 atomically. */
int guard_nft_take(struct guard_nft *n, const char *table, const char *counter, uint64_t *ret_packets);

/* nf_tables notifications: reports changes of the guard's table by other programs. */

struct guard_watch;

/*
 * Calls `changed` from the event loop, once per batch of messages, when a netlink socket with another port changes the
 * table. maybe: messages were lost, as a transaction of thousands of elements loses its own, and none tells of another
 * program. 0 or -errno.
 */
typedef void (*guard_changed)(void *arg, bool maybe);
int guard_watch_new(struct event_base *base, uint32_t port, const char *table, guard_changed changed, void *arg,
		    struct guard_watch **ret);
void guard_watch_free(struct guard_watch *w);

/* Compares the guard's table in the kernel with the one that is wanted. */

/*
 * Adds each difference to the findings; *ret_parts: how many parts are wanted. 0; 1 if other programs keep changing
 * tables; or -errno.
 */
int guard_compare(struct guard_nft *n, const struct guard_rules *rules, struct findings *findings, size_t *ret_parts);

/* The number of differences, or -errno. */
int guard_differs(struct guard_nft *n, const struct guard_rules *rules);

#endif
