/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guard's table guards, by configurations. */
#ifndef DETNAT_GUARDED_H
#define DETNAT_GUARDED_H

#include "config/config.h"
#include "guard/rules.h"

/*
 * Sets the inside prefixes of the rules, of both families, to those of both configurations, and the bypass to that of
 * the wanted one, or else of the running one. Either may be NULL. 0 or -ENOMEM: some are as before.
 */
int guarded_prefixes(struct guard_rules *r, const struct config *running, const struct config *wanted);

#endif
