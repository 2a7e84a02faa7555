/* SPDX-License-Identifier: BSD-2-Clause */
/* What arrived, looked at in full: checksums, addresses and ports, TTL. */
#ifndef DETNAT_BENCH_E2E_SAMPLES_H
#define DETNAT_BENCH_E2E_SAMPLES_H

#include "e2e_gateway.h"

struct sample_check {
	const struct gateway *g;
	uint16_t ext_port; /* host byte order */
	uint64_t samples;
	uint64_t bad;
};

/* 0, or what is wrong with a frame that arrived, in words. */
const char *sample_verify(const struct sample_check *c, const struct e2e_sample *s);

/* Takes what the programs sampled; tells the first few bad ones on standard error. */
void samples_take(const struct world *w, struct sample_check *c);

#endif
