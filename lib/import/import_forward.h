/* SPDX-License-Identifier: BSD-2-Clause */
/* What rules do besides translating sources: ports from outside lead to subscribers, and segments get a limit. */
#ifndef DETNAT_IMPORT_FORWARD_H
#define DETNAT_IMPORT_FORWARD_H

#include "import/import.h"

/* What a rule of a packet filter says about destinations; zero-initialised. */
struct import_dnat {
	bool other; /* has a condition that a portmap has not, or says what is not understood */
	uint8_t protos;
	struct import_range out; /* `outs` of them */
	unsigned outs;
	struct import_range to; /* `tos` of them */
	unsigned tos;
	uint16_t to_lo, to_hi; /* 0: the same ports */
	char ports[160];       /* outside: "80", "80,443", "8000-8009"; "": all */
};

/* Takes each port or range of a rule as a candidate, or says that it is not kept. */
void import_dnat_take(struct import *m, const struct import_dnat *d, uint32_t line);

/* After the fit: candidates that no portmap can be are named and left out. */
int import_forwards_settle(struct import *m);

/* "1440", or "clamp" for the MTU's; several rules: the least is taken. */
void import_mss_take(struct import *m, const char *text, uint32_t line);

#endif
