/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to change/: what begins and ends to drain by a plan, for the mapping history. */
#ifndef DETNAT_PLAN_RETIRED_H
#define DETNAT_PLAN_RETIRED_H

#include "change/plan_private.h"
#include "recorder/history.h"

/*
 * Lists them; the caller frees the lists. What ends as its mapping or the exception in it is deleted is left out. 0 or
 * -ENOMEM.
 */
int plan_retired(const struct plan *p, struct history_drain_change *ret);

/* Takes the drain from additions around which there is no mapping that has sessions. 0 or -ENOMEM. */
int plan_forget_needless(struct plan *p);

#endif
