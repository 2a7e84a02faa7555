/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/withheld.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/json_text.h"

/* No such line is longer. */
#define MOST_OCTETS 512U

#define TIME_UNKNOWN INT64_MIN

static void write_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t != TIME_UNKNOWN)
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

void withheld_write(FILE *out, const struct withheld *w)
{
	fprintf(out, "{\"line\":%" PRIu64 ",\"event\":\"withheld\",\"lines\":%" PRIu64, w->line, w->lines);
	write_time(out, "from", w->from);
	write_time(out, "to", w->to);
	clock_state_write(out, w->clock);
	fprintf(out, ",\"hash\":\"%s\"}", w->hash);
}

bool withheld_read(const char *line, size_t size, struct withheld *ret)
{
	_cleanup_json_ cJSON *json = NULL;
	struct withheld w = { .from = TIME_UNKNOWN, .to = TIME_UNKNOWN };

	if (size > MOST_OCTETS || !memmem(line, size, "\"event\":\"withheld\"", 18))
		return false;
	json = cJSON_ParseWithLength(line, size);
	if (strcmp(json_text(json, "event", ""), "withheld") != 0 || !json_count(json, "line", &w.line) ||
	    !json_count(json, "lines", &w.lines) || chain_check(line, size, HASH_NONE, w.hash) == -EINVAL)
		return false;
	json_time(json, "from", &w.from);
	json_time(json, "to", &w.to);
	w.clock = clock_state_of(json);
	*ret = w;
	return true;
}
