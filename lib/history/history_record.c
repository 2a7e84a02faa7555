/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/text.h"
#include "history/history_record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

#include "base/json_text.h"
#include "history/history_grant_days.h"
#include "history/history_lists.h"

#define LAST_PORT (MAPPING_FIRST_PORT + MAPPING_PORTS - 1)

static const char *const words[] = {
#define X(constant, word) [constant] = (word),
	HISTORY_EVENTS(X)
#undef X
};

const char *history_event_word(enum history_event event)
{
	return words[event];
}

void history_record_free(struct history_record *r)
{
	for (unsigned k = 0; k < FACT_KINDS; k++)
		free(take_pointer(r->facts[k]));
}

void *history_record_fact(struct history_record *r, enum fact_kind *ret_kind)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		if (r->event != fact_rows[k].begins && r->event != fact_rows[k].ends)
			continue;
		*ret_kind = k;
		return &r->mapping;
	}
	return NULL;
}

bool history_record_ends(const struct history_record *r)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (r->event == fact_rows[k].ends)
			return r->ends || fact_rows[k].begins != fact_rows[k].ends;
	return false;
}

/* What the record ends, it ends now. */
static void write_to(FILE *out, const struct history_record *r, bool ends)
{
	char to[TIME_TEXT];

	if (ends)
		fprintf(out, ",\"to\":\"%s\"", time_format(r->time, to));
	else
		fputs(",\"to\":null", out);
}

/* How a mapping gives out its ports. */
static void write_algorithm(FILE *out, const struct history_mapping *m)
{
	unsigned shift = prefix_is_none(m->out) ? 0 : (unsigned)(m->out.plen - m->in.plen);

	const char *special = prefix_is_virtual(m->in) ? ALGORITHM_NAT64 : *m->tenant ? ALGORITHM_TENANTS : NULL;

	if (!plan_blocks_default(&m->blocks)) {
		history_algorithm_write(out, special ? special : ALGORITHM_BLOCKS, plan_blocks_lowest(&m->blocks),
					plan_blocks_last(&m->blocks));
		history_blocks_write(out, &m->blocks);
		return;
	}
	history_algorithm_write(out, special ? special : ALGORITHM, MAPPING_FIRST_PORT, LAST_PORT);
	if (prefix_is_none(m->out))
		return;
	fprintf(out, ",\"sharing_ratio\":%u,\"ports_per_host\":%u", 1U << shift, MAPPING_PORTS >> shift);
}

static void write_start(FILE *out, const struct history_record *r)
{
	char since[TIME_TEXT];

	fprintf(out, ",\"format\":%" PRIu64 ",\"host\":\"%s\"", r->format ? r->format : history_format_needed(r),
		r->host);
	if (*r->gateway)
		fprintf(out, ",\"gateway\":\"%s\"", r->gateway);
	fprintf(out, ",\"taken_over\":%s,\"unknown_since\":", r->taken_over ? "true" : "false");
	if (r->since == TIME_NONE)
		fputs("null", out);
	else
		fprintf(out, "\"%s\"", time_format(r->since, since));
}

static void write_fact(FILE *out, const struct history_record *r)
{
	enum fact_kind kind = FACT_KINDS;
	const void *fact = history_record_fact((struct history_record *)(uintptr_t)r, &kind);

	fputc(',', out);
	history_fact_write(out, kind, fact);
	write_to(out, r, history_record_ends(r));
	if (kind == FACT_GRANT)
		history_grant_line_write(out, r);
	if (kind == FACT_MAPPING)
		write_algorithm(out, fact);
}

static void write_body(FILE *out, const struct history_record *r)
{
	char text[TIME_TEXT];

	fprintf(out, "\"time\":\"%s\",\"event\":\"%s%s\"", time_format(r->time, text), words[r->event],
		history_record_of_day(r) ? GRANT_OF_DAY : "");
	switch (r->event) {
	case EVENT_START:
		write_start(out, r);
		history_lists_write(out, r);
		break;
	case EVENT_DAILY:
		history_lists_write(out, r);
		break;
	case EVENT_GRANTS:
		history_listed_grants_write(out, r);
		break;
	case EVENT_UNDO:
	case EVENT_CONFIRM:
		fprintf(out, ",\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"until\":\"%s\"", r->first, r->last,
			time_format(r->until, text));
		break;
	case EVENT_CLOCK:
		fprintf(out, ",\"before\":\"%s\"", time_format(r->since, text));
		fprintf(out, ",\"after\":\"%s\"", time_format(r->after, text));
		break;
	case EVENT_STOP:
	case EVENT_DETACH:
		break;
	default:
		write_fact(out, r);
		break;
	}
	clock_state_write(out, r->clock);
	history_by_write(out, &r->by);
}

int history_record_write(FILE *out, const struct history_record *r, struct chain_tip *tip)
{
	_cleanup_free_ char *body = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&body, &size);

	if (!memory)
		return -ENOMEM;
	write_body(memory, r);
	if (fclose(memory))
		return -ENOMEM;
	return chain_write(out, body, size, tip);
}

static int check_algorithm(const cJSON *json, struct error *err)
{
	if (history_algorithm_known(json))
		return 0;
	return error_set(err, -EINVAL, "the ports were given out by an algorithm that this version does not know");
}

/* Where one event is for both, a record of an end says when. */
static int read_fact(const cJSON *json, struct history_record *r, struct error *err)
{
	const cJSON *to = cJSON_GetObjectItemCaseSensitive(json, "to");
	enum fact_kind kind = FACT_KINDS;
	void *fact = history_record_fact(r, &kind);
	bool both = fact_rows[kind].begins == fact_rows[kind].ends;

	r->ends = both ? cJSON_IsString(to) : r->event == fact_rows[kind].ends;
	if ((both && !r->ends && !cJSON_IsNull(to)) || !history_fact_read(json, kind, fact))
		return -EINVAL;
	if (kind == FACT_GRANT && !history_grant_line_read(json, r))
		return -EINVAL;
	return kind == FACT_MAPPING ? check_algorithm(json, err) : 0;
}

bool history_gateway_valid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i = 0;

	while (form[i] && (form[i] == '-' ? text[i] == '-' : text[i] && strchr("0123456789abcdef", text[i])))
		i++;
	return !form[i] && !text[i];
}

static int read_start(const cJSON *json, struct history_record *r, struct error *err)
{
	const cJSON *since = cJSON_GetObjectItemCaseSensitive(json, "unknown_since");
	const cJSON *taken_over = cJSON_GetObjectItemCaseSensitive(json, "taken_over");
	const char *host = json_text(json, "host", NULL), *gateway = json_text(json, "gateway", "");
	uint64_t format;

	if (!json_count(json, "format", &format) || !host || !cJSON_IsBool(taken_over))
		return -EINVAL;
	if (format > HISTORY_FORMAT)
		return error_set(err, -EINVAL, "format %" PRIu64 " is of a later version", format);
	if (format < HISTORY_FORMAT_CONFIRMS)
		return error_set(err, -EINVAL, "format %" PRIu64 " is of a version before 1.0.0", format);
	snprintf(r->host, sizeof(r->host), "%s", host);
	if (history_gateway_valid(gateway))
		snprintf(r->gateway, sizeof(r->gateway), "%s", gateway);
	r->format = format;
	r->taken_over = cJSON_IsTrue(taken_over);
	r->since = TIME_NONE;
	return cJSON_IsNull(since) || json_time(json, "unknown_since", &r->since) ? 0 : -EINVAL;
}

static bool read_lines(const cJSON *json, struct history_record *r)
{
	return json_count(json, "first", &r->first) && json_count(json, "last", &r->last) &&
	       json_time(json, "until", &r->until);
}

static bool read_clock(const cJSON *json, struct history_record *r)
{
	return json_time(json, "before", &r->since) && json_time(json, "after", &r->after);
}

static int read_event(const char *word, enum history_event *ret)
{
	if (word && !strcmp(word, "grant" GRANT_OF_DAY))
		word = words[EVENT_GRANT];
	else if (word && !strcmp(word, "grants" GRANT_OF_DAY))
		word = words[EVENT_GRANTS];
	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i], word)) {
			*ret = (enum history_event)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_fields(const cJSON *json, struct history_record *r, struct error *err)
{
	const char *word = json_text(json, "event", NULL);
	int ret;

	if (!json_count(json, "line", &r->line) || !json_time(json, "time", &r->time) || !word)
		return -EINVAL;
	if (read_event(word, &r->event))
		return error_set(err, -EINVAL, "%s is no event that this version knows", QUOTED(word));
	r->clock = clock_state_of(json);
	history_by_read(json, &r->by);
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		ret = r->event == EVENT_START ? read_start(json, r, err) : 0;
		ret = ret ? ret : history_lists_read(json, r);
		return ret ? ret : check_algorithm(json, err);
	case EVENT_GRANTS:
		return history_listed_grants_read(json, r);
	case EVENT_UNDO:
	case EVENT_CONFIRM:
		return read_lines(json, r) ? 0 : -EINVAL;
	case EVENT_CLOCK:
		return read_clock(json, r) ? 0 : -EINVAL;
	case EVENT_STOP:
	case EVENT_DETACH:
		return 0;
	default:
		return read_fact(json, r, err);
	}
}

int history_record_read(const char *line, size_t size, struct history_record *ret, struct error *err)
{
	struct history_record r = { 0 };
	cJSON *json = memchr(line, '\0', size) ? NULL : cJSON_ParseWithLength(line, size);
	int result;

	error_set(err, 0, "is no record");
	result = cJSON_IsObject(json) ? read_fields(json, &r, err) : -EINVAL;
	cJSON_Delete(json);
	if (result) {
		history_record_free(&r);
		return result;
	}
	*ret = r;
	return 0;
}
