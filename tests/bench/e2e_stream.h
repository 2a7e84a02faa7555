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

struct stream_result {
	double bits_per_s; /* that arrived after the warm-up; 0 if the connections did not come about, or nothing
			      arrived */
	double cores;	   /* of the machine's that worked meanwhile, on whatever: ends and gateway alike */
};

/* Sends as fast as the connections take it, on any of the machine's cores. */
struct stream_result stream_run(const struct stream_plan *p);

#endif
