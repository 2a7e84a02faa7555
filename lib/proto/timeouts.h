/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the session timeouts, and the least that the RFCs ask of each. */
#ifndef DETNAT_TIMEOUTS_H
#define DETNAT_TIMEOUTS_H

#include <stdint.h>

#include <detnat/tables.h>

extern const char *const timeout_names[N_TIMEOUTS];

/* What the RFCs ask of a timeout at least. Below it things break that work elsewhere, but it is the operator's choice.
 */
struct timeout_minimum {
	uint32_t seconds;
	const char *source;
};
extern const struct timeout_minimum timeout_minima[N_TIMEOUTS];

#endif
