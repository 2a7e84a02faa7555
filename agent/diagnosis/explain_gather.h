/* SPDX-License-Identifier: BSD-2-Clause */
/* Gathers what an explanation needs, in slices: sessions, record, routes. */
#ifndef DETNAT_EXPLAIN_GATHER_H
#define DETNAT_EXPLAIN_GATHER_H

#include "diagnosis/explain.h"

struct explain_gather;

/* port: of the endpoint, where with_port says that there is one. 0 or -errno. */
int explain_gather_new(const struct parts *a, struct endpoint asked, bool with_port, struct explain_gather **ret);

/* Goes on for about budget_us microseconds: 1 more to do, 0 done, -ENOENT where the mapping has gone meanwhile, -errno.
 */
int explain_gather_step(struct explain_gather *g, unsigned budget_us);

/* When it is done, until explain_gather_free(). */
const struct explanation *explain_gather_result(const struct explain_gather *g);

void explain_gather_free(struct explain_gather *g); /* NULL is allowed */

#endif
