/* SPDX-License-Identifier: BSD-2-Clause */
/* Links that stand on one another, and two veth pairs for what only the kernel knows. */
#ifndef DETNAT_TEST_STACKING_FIXTURE_H
#define DETNAT_TEST_STACKING_FIXTURE_H

#include <criterion/criterion.h>

#include "links/interfaces.h"

enum { ETH0 = 1, ETH1, BOND, BRIDGE, VLAN, SERVICE, INNER, DEEPER, ELSEWHERE, MACVLAN, ON_BOND, ON_BRIDGE, PLAIN };

#define N_LINKS 13
extern const struct link links[N_LINKS];

/* A copy that a test may change. */
extern struct link some[N_LINKS];
extern struct link_list all;
struct link *of(uint32_t ifindex);

void restore_links(void);

/* By ethtool, of one of the veths. */
void offload(const char *name, const char *which, bool on);

void stacking_set_up(void);

#endif
