/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of leases of evidence: whether they are those that were recorded, as far as they tell. */
#ifndef DETNATCTL_EVIDENCE_CHECK_LEASES_H
#define DETNATCTL_EVIDENCE_CHECK_LEASES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Lines that are shown, those of them without checksums, and lines that are withheld. */
struct evidence_leases {
	uint64_t lines, unchained, withheld;
};

/* Checks leases.jsonl, if it is there. whole: of 1.0, which leaves lines out without a trace. Adds to the faults. */
struct evidence_leases evidence_check_leases(const char *dir, bool whole, cJSON *faults);

#endif
