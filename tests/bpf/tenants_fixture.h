/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tenants with one inside prefix, 10.0.0.0/24, as the tables have it. The one interface inside is of the one tenant
 * or of the other.
 */
#ifndef DETNAT_TEST_TENANTS_FIXTURE_H
#define DETNAT_TEST_TENANTS_FIXTURE_H

#include "portmap_fixture.h"

#define POOL_B ADDR(203, 0, 116, 0)
#define FIRST  1
#define SECOND 2
#define THIRD  200 /* has no mapping */

extern int second; /* number of the mapping of SECOND */

/* Makes the interface inside one of a tenant's. It is FIRST's after set_up_shared(). */
void be(uint8_t tenant);

/* Entry of 10.0.0.0/24 in the index. */
uint16_t *entry_of_prefix(void);

/* Gives 10.1.0.0/24 of the second tenant the addresses of the first one's prefix. */
void share(void);

void set_up_shared(void);

#endif
