/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tracing build: records the subscriber of a packet. */
#ifndef DETNAT_TRACE_SUBSCRIBER_H
#define DETNAT_TRACE_SUBSCRIBER_H

#include "subscriber/lookup.h"
#include "trace/trace_record.h"

__noinline int trace_subscriber(const struct mapping *m, __u32 number)
{
	struct trace_record *r = trace_record_get();
	__u32 first;

	if (!m || !r)
		return 0;
	first = mapping_port_lo(&m->geo, number);
	trace_add(r, TRACE_subscriber, (__u64)(m->geo.in_base + number) << 32 | mapping_out_addr(&m->geo, number),
		  (__u64)first << 16 | (first + m->geo.ports_per_host - 1) |
			  (__u64) !!(LOAD(m->geo.flags) & MAPPING_RETIRED) << 32);
	return 0;
}

#endif
