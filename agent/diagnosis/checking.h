/* SPDX-License-Identifier: BSD-2-Clause */
/* The check of everything that must agree: tables, programs, pins, routes, guard, history, peers. It runs in slices. */
#ifndef DETNAT_CHECKING_H
#define DETNAT_CHECKING_H

#include "base/findings.h"
#include "config/parts.h"
#include "sessions/check.h"

struct checking;

/* Numbers of examined objects. */
struct checking_figures {
	const struct check_figures *tables;
	size_t interfaces;
	size_t routes;
	size_t guard; /* objects in its nftables table */
	size_t portmaps;
	size_t grants;
	unsigned pins;
	unsigned peers;
};

/* repair: also repairs differences where possible. -ENOMEM. */
int checking_new(const struct parts *parts, bool repair, struct checking **ret);
void checking_free(struct checking *c);

/* Continues for about budget_us microseconds. 1: more to do; 0: done; -errno with err. */
int checking_step(struct checking *c, unsigned budget_us, struct error *err);

/* When it is done, until checking_free(). */
const struct findings *checking_findings(const struct checking *c);
struct checking_figures checking_figures(const struct checking *c);

#endif
