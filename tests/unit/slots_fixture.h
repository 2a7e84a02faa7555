/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots as the datapath's programs go through them. */
#ifndef DETNAT_TEST_SLOTS_FIXTURE_H
#define DETNAT_TEST_SLOTS_FIXTURE_H

#include <detnat/slots.h>

/* Scans both buckets, as an opener does. */
static inline void scan(struct opening *o, const struct bucket_choice *b, __u32 now, const __u32 timeouts[N_TIMEOUTS])
{
	opening_begin(o);
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		opening_scan_slot(o, &b->first->slot[i], i, now, timeouts);
	for (__u32 i = 0; i < BUCKET_SLOTS && b->second != b->first; i++)
		opening_scan_slot(o, &b->second->slot[i], BUCKET_SLOTS + i, now, timeouts);
}

#endif
