/* SPDX-License-Identifier: BSD-2-Clause */
/* What a mapping's figures become. */
#ifndef DETNAT_FIGURES_H
#define DETNAT_FIGURES_H

#include "plan/plan.h"

/* A mapping's figures, all filled in. */
struct plan_figures {
	uint64_t subscribers;
	uint64_t addresses; /* outside, those excluded left out */
	uint32_t ratio;
	uint32_t first_port;
	uint32_t pitch;
	uint32_t ports;
	bool netmap;
};

/*
 * The figures of a mapping that is translated, between lists whose neighbours were joined. 0, or -EINVAL with err
 * saying what fits.
 */
int plan_figures(const struct plan_mapping *m, const struct plan_addresses *in, const struct plan_addresses *out,
		 struct plan_figures *ret, struct error *err);

#endif
