/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/withheld.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/json_text.h"

/* No such line is longer. */
#define MOST_OCTETS 9216U

#define SAYS_BEGIN ",\"says\":"
#define SAYS_END   ",\"hash\":\""

static void write_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t != TIME_NONE)
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

void withheld_write(FILE *out, const struct withheld *w)
{
	fprintf(out, "{\"line\":%" PRIu64 ",\"event\":\"withheld\",\"lines\":%" PRIu64, w->line, w->lines);
	write_time(out, "from", w->from);
	write_time(out, "to", w->to);
	clock_state_write(out, w->clock);
	if (w->set_back)
		fputs(",\"set_back\":true", out);
	if (w->damaged)
		fputs(",\"damaged\":true", out);
	if (w->says)
		fprintf(out, SAYS_BEGIN "%.*s", (int)w->says_size, w->says);
	fprintf(out, SAYS_END "%s\"}", w->hash);
}

/* Whether a line has these octets and no others: nobody reads what is added to it. */
static bool is_written_so(const struct withheld *w, const char *line, size_t size)
{
	char text[MOST_OCTETS];
	FILE *out = fmemopen(text, sizeof(text), "w");
	long n = -1;

	if (!out)
		return false;
	withheld_write(out, w);
	if (!fflush(out))
		n = ftell(out);
	fclose(out);
	return n >= 0 && (size_t)n == size && !memcmp(text, line, size);
}

bool withheld_read(const char *line, size_t size, struct withheld *ret)
{
	_cleanup_json_ cJSON *json = NULL;
	struct withheld w = { .from = TIME_NONE, .to = TIME_NONE };

	if (size > MOST_OCTETS || !memmem(line, size, "\"event\":\"withheld\"", 18))
		return false;
	json = cJSON_ParseWithLength(line, size);
	if (strcmp(json_text(json, "event", ""), "withheld") != 0 || !json_count(json, "line", &w.line) ||
	    !json_count(json, "lines", &w.lines) || chain_check(line, size, HASH_NONE, w.hash) == -EINVAL)
		return false;
	json_time(json, "from", &w.from);
	json_time(json, "to", &w.to);
	w.clock = clock_state_of(json);
	w.set_back = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "set_back"));
	w.damaged = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "damaged"));
	w.says = memmem(line, size, SAYS_BEGIN, strlen(SAYS_BEGIN));
	if (w.says) {
		w.says += strlen(SAYS_BEGIN);
		w.says_size = size - (size_t)(w.says - line) - strlen(SAYS_END) - HASH_TEXT - 1;
	}
	if (!is_written_so(&w, line, size))
		return false;
	*ret = w;
	return true;
}
