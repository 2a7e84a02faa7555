/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edits that give subscribers other outside addresses for a while, and undo that: exceptions within their mapping, of
 * the same sharing ratio where whole addresses are drained.
 *
 * A refused edit may have changed a part of the configuration, which the caller discards.
 */
#ifndef DETNAT_POOLS_H
#define DETNAT_POOLS_H

#include "config/config.h"

/* The prefix of these exceptions' names. */
#define POOL_DRAIN_NAME "drain-"
#define USER_MOVE_NAME	"move-"

/* How much of a prefix is in use. */
enum pool_use { POOL_FREE, POOL_IN_PART, POOL_WHOLE };

/*
 * Reports outside addresses that are in use although the configuration does not say so, as sessions there are draining.
 * in: the inside addresses, of a tenant, that would get them.
 */
struct pool_users {
	enum pool_use (*use)(struct prefix out, const char *tenant, struct prefix in, void *arg);
	void *arg;
};

/* The result of an edit. */
struct pool_edit {
	uint32_t mappings;  /* exceptions made or deleted */
	uint64_t addresses; /* outside addresses that lost their subscribers, or regained them */
	uint64_t subscribers;
};

/*
 * Takes outside addresses out of service: their subscribers get others from `to`, or from the mapping's spare addresses
 * if to is NULL. `drain` becomes that key of the exceptions. 0, or -errno with err: -ENOENT (no pool has the
 * addresses), -EALREADY (they have no subscribers), -ENOSPC (too few others), -EINVAL, -ENOMEM.
 */
int pool_drain(struct config *c, struct prefix out, const struct prefix *to, uint32_t drain,
	       const struct pool_users *users, struct pool_edit *ret, struct error *err);

/* Undoes pool_drain(). -ENOENT: none of the addresses was drained; -EINVAL: they were drained together with others. */
int pool_restore(struct config *c, struct prefix out, struct pool_edit *ret, struct error *err);

/*
 * Adapts portmaps to an edit: those that name an outside address which their subscriber has lost. *ret_n: the number
 * moved or deleted. -EEXIST: they block the edit; err names them, and ends with `advice`.
 */
int pool_portmaps(struct config *c, enum portmaps_fate fate, const char *advice, uint32_t *ret_n, struct error *err);

/*
 * Gives a subscriber a free address of `out` as the only one behind it, until a time (0: for good). name: the
 * mapping's; NULL: move-ADDR. A moved subscriber is moved on. *ret_out: the address. 0, or -errno with err.
 */
struct user_move {
	const char *tenant; /* of the subscriber; "": there are none */
	uint32_t addr;
	struct prefix out;
	uint32_t drain;
	int64_t until;
	const char *name;
};
int user_move(struct config *c, const struct user_move *move, const struct pool_users *users, uint32_t *ret_out,
	      struct error *err);

/* The mapping whose outside prefix has these addresses; NULL: none. */
const struct config_mapping *pool_find(const struct config *c, struct prefix out);

/* Whether `pool drain` has made a mapping, for subscribers of `of`. */
bool pool_is_drain(const struct config *c, const struct config_mapping *m, const struct config_mapping *of);

/*
 * Whether `user move` has made a mapping: for one address, like the one around it except for addresses, times and a
 * name, or with a time or a name typical of a move.
 */
bool pool_is_move(const struct config *c, const struct config_mapping *m);

/* The mapping to which these subscribers belong without pool drains and moves: m itself, if it is neither. */
const struct config_mapping *pool_home(const struct config *c, const struct config_mapping *m);

/* Seconds for which sessions drain that `pool restore` takes back, unless the command sets another time. */
uint32_t pool_restore_drain(const struct config *c, struct prefix out);

#endif
