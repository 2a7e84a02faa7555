/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to metrics/: Prometheus' text exposition format, version 0.0.4, and OpenMetrics 1.0. */
#ifndef DETNAT_EXPOSITION_H
#define DETNAT_EXPOSITION_H

#include <event2/buffer.h>
#include <stddef.h>
#include <stdint.h>

enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

/* The lines before a family's samples. type: "counter", "gauge", "histogram" or "summary". */
void metrics_family(struct evbuffer *out, const char *name, const char *type, const char *help);

/* A sample. labels: `key="value",…`, or NULL. */
void metrics_sample(struct evbuffer *out, const char *name, const char *labels, uint64_t value);
void metrics_sample_seconds(struct evbuffer *out, const char *name, const char *labels, double seconds);

/* A family of one sample without labels. */
void metrics_single(struct evbuffer *out, const char *name, const char *type, uint64_t value, const char *help);
void metrics_single_seconds(struct evbuffer *out, const char *name, const char *type, double seconds, const char *help);

/* A summary without quantiles: the total of `count` durations, in seconds. */
void metrics_duration(struct evbuffer *out, const char *name, double sum, uint64_t count, const char *help);

/*
 * Moves a text to `out`, as OpenMetrics has it: there a counter's family lacks the suffix _total of its samples. The
 * end mark is not added.
 */
void metrics_to_openmetrics(struct evbuffer *text, struct evbuffer *out);

/*
 * Escapes a text for use as a label's value. Octets that are not printable ASCII become \xNN, so that different texts
 * stay different. The result is truncated to size.
 */
void metrics_escape(const char *text, char *ret, size_t size);

#endif
