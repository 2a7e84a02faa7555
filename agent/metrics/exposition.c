/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Length of the name of a family without its suffix _total. */
static size_t plain_length(const char *name)
{
	static const char suffix[] = "_total";
	size_t length = strcspn(name, " "), cut = strlen(suffix);

	return length > cut && !strncmp(name + length - cut, suffix, cut) ? length - cut : length;
}

void metrics_to_openmetrics(struct evbuffer *text, struct evbuffer *out)
{
	static const char help[] = "# HELP ", type[] = "# TYPE ";
	char *line;

	while ((line = evbuffer_readln(text, NULL, EVBUFFER_EOL_LF))) {
		const char *name = line + strlen(help);

		if (strncmp(line, help, strlen(help)) != 0 && strncmp(line, type, strlen(type)) != 0)
			evbuffer_add_printf(out, "%s\n", line);
		else
			evbuffer_add_printf(out, "%.*s%.*s%s\n", (int)strlen(help), line, (int)plain_length(name), name,
					    name + strcspn(name, " "));
		free(line);
	}
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
