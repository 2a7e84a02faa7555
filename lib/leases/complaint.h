/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complaints and requests, as they arrive, to questions: a time, an outside address and a port. Reads ACNS XML, X-ARF
 * (0.1 and 0.2 in YAML, later ones in JSON), tables with a header, text of tcpdump, and mail or any other text, through
 * MIME and HTML. Input comes from strangers: any octets are taken, and nothing in it is executed or followed. Pure.
 */
#ifndef DETNAT_COMPLAINT_H
#define DETNAT_COMPLAINT_H

#include "base/address.h"
#include "leases/zone.h"

/* Why something is no question: X(constant, word) */
#define COMPLAINT_FAULTS(X)               \
	X(FAULT_NONE, "")                 \
	X(FAULT_NO_ADDRESS, "no-address") \
	X(FAULT_NO_PORT, "no-port")       \
	X(FAULT_NO_TIME, "no-time")       \
	X(FAULT_NO_ZONE, "no-zone")       \
	X(FAULT_TIME, "time") /* it never was, was twice, or has a zone that is not known */

enum complaint_fault {
#define X(constant, word) constant,
	COMPLAINT_FAULTS(X)
#undef X
};

const char *complaint_fault_word(enum complaint_fault fault);

/* A question; `fault` and `why` are set if it is none. */
struct complaint {
	uint64_t line; /* in the text, from 1 */
	bool good;
	enum complaint_fault fault;
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
