/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the session timeouts, and the minimums that RFCs require. */
#ifndef DETNAT_TIMEOUTS_H
#define DETNAT_TIMEOUTS_H

#include <stdint.h>

#include <detnat/tables.h>

extern const char *const timeout_names[N_TIMEOUTS];

/* The minimum that RFCs require. A lower timeout breaks things that work elsewhere, but is the operator's choice. */
struct timeout_minimum {
	uint32_t seconds;
	const char *source;
};
extern const struct timeout_minimum timeout_minima[N_TIMEOUTS];

#endif
