/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracing: while a trace runs, the tracing build of the programs (bpf/base/trace_points.h) replaces the normal one and
 * records the packets that match a filter in a ring buffer.
 *
 * Start and end each replace the programs, in turn with changes of the configuration (change/change.h). The tracing
 * build stays loaded while a trace is wanted, so a change of the configuration does not interrupt it. A trace ends when
 * it has its packets, or after TRACE_MAX_S; its records are kept until the next one.
 */
#ifndef DETNAT_TRACING_H
#define DETNAT_TRACING_H

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdbool.h>

#include <detnat/trace.h>

#include "datapath/datapath.h"
#include "tables/mappings.h"

/* A trace ends by itself after this time. */
#define TRACE_MAX_S 3600

struct trace;

/*
 * Replaces the programs (change_submit_programs()): calls prepare first, and done when the new ones run or could not be
 * loaded, both with `trace`. 0 or -ENOMEM.
 */
typedef int (*trace_replace)(void *arg, int (*prepare)(void *trace, struct error *err),
			     void (*done)(void *trace, int r, const struct error *err), void *trace);

/* replace is called with arg when a trace has ended by itself. m has the tenants' names. 0 or -ENOMEM. */
int trace_new(struct event_base *base, struct datapath *d, const struct mappings *m, trace_replace replace, void *arg,
	      struct trace **ret);
void trace_free(struct trace *t);

/* Whether the tracing build should run. */
bool trace_wanted(const struct trace *t);

/* Call it before the programs are replaced: the tracing programs are wanted, or no longer. 0 or -errno with err. */
int trace_prepare(struct trace *t, struct error *err);
void trace_dismiss(struct trace *t);

/*
 * Called after the programs were replaced: drops the old records and begins to record count packets that match the
 * filter, of which endpoints, protocol and tenant are set.
 */
int trace_record(struct trace *t, const struct trace_filter *filter, uint32_t count, struct error *err);

/* Called instead if that failed, or if tracing was to end: adapts to the programs that run now. */
void trace_settle(struct trace *t);

/*
 * Record n in order of arrival, NULL after the last; valid until the next event. Its time is by CLOCK_REALTIME, and its
 * tenants, its steps' as well, are numbers for trace_tenant(): the tables' numbers may be other tenants' by now.
 */
const struct trace_record *trace_get(const struct trace *t, size_t n);

/* The name that a tenant had when its packet was recorded; "": none. Valid as long as the record. */
const char *trace_tenant(const struct trace *t, uint8_t tenant);

/* Changes whenever records are dropped. */
uint32_t trace_generation(const struct trace *t);

/* A record as the JSON object that `trace show` prints, or NULL if out of memory (punt/trace_json.c). */
cJSON *trace_record_json(const struct trace *t, const struct trace_record *r);

/* One of its frames as the object of `trace pcap`. after: the second. The same. */
struct trace_frame;
cJSON *trace_frame_json(const struct trace_record *r, const struct trace_frame *f, bool after);

#endif
