/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void metrics_family(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_name(struct evbuffer *out, const char *name, const char *labels)
{
	if (labels)
		evbuffer_add_printf(out, "%s{%s}", name, labels);
	else
		evbuffer_add_printf(out, "%s", name);
}

void metrics_sample(struct evbuffer *out, const char *name, const char *labels, uint64_t value)
{
	add_name(out, name, labels);
	evbuffer_add_printf(out, " %" PRIu64 "\n", value);
}

void metrics_sample_seconds(struct evbuffer *out, const char *name, const char *labels, double seconds)
{
	add_name(out, name, labels);
	evbuffer_add_printf(out, " %.6f\n", seconds);
}

void metrics_single(struct evbuffer *out, const char *name, const char *type, uint64_t value, const char *help)
{
	metrics_family(out, name, type, help);
	metrics_sample(out, name, NULL, value);
}

void metrics_single_seconds(struct evbuffer *out, const char *name, const char *type, double seconds, const char *help)
{
	metrics_family(out, name, type, help);
	metrics_sample_seconds(out, name, NULL, seconds);
}

void metrics_duration(struct evbuffer *out, const char *name, double sum, uint64_t count, const char *help)
{
	metrics_family(out, name, "summary", help);
	evbuffer_add_printf(out, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name, sum, name, count);
}

void metrics_escape(const char *text, char *ret, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		char piece[8];

		/* A backslash is escaped by another one, including that of \xNN. */
		if (c == '"' || c == '\\')
			snprintf(piece, sizeof(piece), "\\%c", c);
		else if (c < ' ' || c > '~')
			snprintf(piece, sizeof(piece), "\\\\x%02x", c);
		else
			snprintf(piece, sizeof(piece), "%c", c);
		if (n + strlen(piece) >= size)
			break;
		n += (size_t)snprintf(ret + n, size - n, "%s", piece);
	}
	ret[n] = '\0';
}
