/* SPDX-License-Identifier: BSD-2-Clause */
/* Bulk data by TCP between the sockets of two namespaces. */
#ifndef DETNAT_BENCH_E2E_STREAM_H
#define DETNAT_BENCH_E2E_STREAM_H

#include <stdint.h>

struct stream_plan {
	int from, to;		 /* namespaces */
	uint32_t source, target; /* host byte order; the target listens */
	unsigned streams;	 /* connections at once, 16 at most */
	unsigned warm_ms, run_ms;
};

/*
 * Sends as fast as the connections take it, on any of the machine's cores. Bits a second that arrived after the
 * warm-up; 0 if the connections did not come about, or nothing arrived.
 */
double stream_run(const struct stream_plan *p);

#endif
