/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complaints and requests, as they arrive, to questions: a time, an outside address and a port. Reads ACNS XML, X-ARF
 * (0.1 in YAML, 0.2 in JSON), CSV with a header, text of tcpdump, and mail or any other text. Input comes from
 * strangers: any octets are taken, and nothing in it is executed or followed. Pure.
 */
#ifndef DETNAT_COMPLAINT_H
#define DETNAT_COMPLAINT_H

#include "base/address.h"
#include "leases/zone.h"

/* A question; `why` is set if it is none, as the time has no zone or the port is missing. */
struct complaint {
	uint64_t line; /* in the text, from 1 */
	bool good;
	int64_t t;
	struct endpoint out;
	struct error why;
};

/* Returns nonzero to end the reading. */
typedef int (*complaint_take)(void *arg, const struct complaint *c);

/* A text that is larger is refused by the caller. */
#define COMPLAINT_MAX (64U << 20)

/*
 * Finds the questions in a text of size octets, which ends with a NUL. zone: of times that name none. Returns 0,
 * -ENOMEM, or what take returned.
 */
int complaint_read(char *text, size_t size, const struct zone *zone, complaint_take take, void *arg);

#endif
