/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edits that give subscribers other outside addresses for a while, and back: exceptions within their mapping, of the
 * same sharing ratio where whole addresses are drained.
 *
 * An edit that is refused may have changed a part of the configuration, which the caller discards.
 */
#ifndef DETNAT_POOLS_H
#define DETNAT_POOLS_H

#include "config/config.h"

/* What the names of these exceptions begin with. */
#define POOL_DRAIN_NAME "drain-"
#define USER_MOVE_NAME	"move-"

/* How much of a prefix is in use. */
enum pool_use { POOL_FREE, POOL_IN_PART, POOL_WHOLE };

/*
 * Tells of outside addresses that are in use without the configuration saying so, as sessions there are draining. in:
 * the inside addresses that would have them.
 */
struct pool_users {
	enum pool_use (*use)(struct prefix out, struct prefix in, void *arg);
	void *arg;
};

/* What an edit has done. */
struct pool_edit {
	uint32_t mappings;  /* exceptions made or deleted */
	uint64_t addresses; /* outside ones that lost their subscribers, or have them again */
	uint64_t subscribers;
};

/*
 * Takes outside addresses out of service: their subscribers get others of `to`, or of the spare addresses of the
 * mapping if to is NULL. drain becomes the key of the exceptions. 0, or -errno with err: -ENOENT (no pool has the
 * addresses), -EALREADY (they have no subscribers), -ENOSPC (too few others), -EINVAL, -ENOMEM.
 */
int pool_drain(struct config *c, struct prefix out, const struct prefix *to, uint32_t drain,
	       const struct pool_users *users, struct pool_edit *ret, struct error *err);

/* Undoes that. -ENOENT: none of the addresses was drained; -EINVAL: they were drained together with others. */
int pool_restore(struct config *c, struct prefix out, struct pool_edit *ret, struct error *err);

/*
 * Has portmaps follow an edit: those that name an outside address which their subscriber has no more. *ret_n: how many
 * were moved or deleted. -EEXIST: they are in the way; err names them, and says `advice`.
 */
int pool_portmaps(struct config *c, enum portmaps_fate fate, const char *advice, uint32_t *ret_n, struct error *err);

/*
 * Gives a subscriber a free address of `out` as the only one behind it, until a time (0: for good). name: of the
 * mapping; NULL: move-ADDR. A subscriber that was moved is moved on. *ret_out: the address. 0, or -errno with err.
 */
struct user_move {
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
 * Whether `user move` has made a mapping: of one address, like the one around it but for addresses, times and a name,
 * or with a time or a name that says so.
 */
bool pool_is_move(const struct config *c, const struct config_mapping *m);

/* The mapping whose subscribers these are without pool drains and moves: m itself, if it is of none. */
const struct config_mapping *pool_home(const struct config *c, const struct config_mapping *m);

/* How long sessions drain that `pool restore` takes back, unless it is told. */
uint32_t pool_restore_drain(const struct config *c, struct prefix out);

#endif
