/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups that a unit of the service manager gives its program beside those of its user. */
#ifndef DETNAT_UNIT_GROUPS_H
#define DETNAT_UNIT_GROUPS_H

#include <stddef.h>
#include <sys/types.h>

/* More are left out. */
#define UNIT_GROUPS 64

struct unit_groups {
	gid_t gid[UNIT_GROUPS];
	size_t n;
};

/* Adds a group once. */
void unit_groups_add(struct unit_groups *g, gid_t gid);

/*
 * Adds those that SupplementaryGroups= names in the unit's file and its drop-ins, as systemd.unit(5) looks for them.
 * `top` is the directory in whose place / is, "" for that itself. Without a unit, or without a service manager, there
 * are none.
 */
void unit_groups_read(const char *top, const char *unit, struct unit_groups *ret);

#endif
