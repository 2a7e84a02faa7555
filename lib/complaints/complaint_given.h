/* SPDX-License-Identifier: BSD-2-Clause */
/* What was given or named of a complaint, so that nothing is twice. */
#ifndef DETNAT_COMPLAINT_GIVEN_H
#define DETNAT_COMPLAINT_GIVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In place of a second: an endpoint at all, an address with a port, one without. */
#define ANY_TIME  INT64_MAX
#define WITH_PORT (INT64_MAX - 1)
#define PORTLESS  (INT64_MAX - 2)
/* No second. */
#define FREE INT64_MIN

struct given {
	uint32_t addr;
	uint16_t port;
	int64_t t;
};

/* Zero-initialised: none. */
struct given_set {
	struct given *known; /* a table of `slots`, a power of 2, of which `n` are taken */
	size_t slots, n;
	bool failed; /* out of memory */
};

/* Makes its table. 0 or -ENOMEM. */
int given_begin(struct given_set *s);
void given_free(struct given_set *s);

/* Whether something is in the set, and with add, puts it there. */
bool given_has(struct given_set *s, const struct given *is, bool add);

#endif
