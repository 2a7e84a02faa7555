/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

#include "history/history_blocks.h"

#define HASH_BEGIN ",\"hash\":\""
#define HASH_END   "\"}"
/* Size of a line from HASH_BEGIN on. */
#define HASH_TAIL (sizeof(HASH_BEGIN) - 1 + HASH_TEXT - 1 + sizeof(HASH_END) - 1)

/* Of lines in which all mappings have their default blocks, and of others, which older readers must not misread. */
#define ALGORITHM	 "sequential"
#define ALGORITHM_BLOCKS "blocks"
#define LAST_PORT	 (MAPPING_FIRST_PORT + MAPPING_PORTS - 1)

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
	free(r->mappings);
	free(r->portmaps);
	free(r->drains);
	r->mappings = NULL;
	r->portmaps = NULL;
	r->drains = NULL;
}

static const char hex[] = "0123456789abcdef";

void history_hash_of(const char prev[static HASH_TEXT], const char *text, size_t size, char ret[static HASH_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, HASH_TEXT - 1, (const uint8_t *)prev);
	sha256_update(&ctx, size, (const uint8_t *)text);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	ret[HASH_TEXT - 1] = '\0';
}

int history_hash_check(const char *line, size_t size, const char prev[static HASH_TEXT], char ret[static HASH_TEXT])
{
	const char *tail = line + size - HASH_TAIL;
	const char *hash = tail + strlen(HASH_BEGIN);
	char wanted[HASH_TEXT];

	if (size < HASH_TAIL || memcmp(tail, HASH_BEGIN, strlen(HASH_BEGIN)) != 0 ||
	    memcmp(line + size - strlen(HASH_END), HASH_END, strlen(HASH_END)) != 0)
		return -EINVAL;
	for (size_t i = 0; i < HASH_TEXT - 1; i++)
		if (!memchr(hex, hash[i], 16))
			return -EINVAL;
	/* prev and ret may be the same. */
	history_hash_of(prev, line, size - HASH_TAIL, wanted);
	memcpy(ret, hash, HASH_TEXT - 1);
	ret[HASH_TEXT - 1] = '\0';
	return strcmp(wanted, ret) ? -EBADMSG : 0;
}

static void write_mapping(FILE *out, const struct history_mapping *m)
{
	char in[ADDR_TEXT], out_text[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",", prefix_text(m->in, in));
	if (prefix_is_none(m->out))
		fputs("\"out\":null,", out);
	else
		fprintf(out, "\"out\":\"%s\",", prefix_text(m->out, out_text));
	/* No character of a name needs escaping. */
	if (*m->name)
		fprintf(out, "\"name\":\"%s\",", m->name);
	fprintf(out, "\"from\":\"%s\"", time_format(m->from, from));
	if (m->open)
		fputs(",\"inbound\":\"open\"", out);
}

static void write_algorithm(FILE *out, const char *algorithm, unsigned port_lo, unsigned port_hi)
{
	fprintf(out, ",\"algorithm\":\"%s\",\"port_lo\":%u,\"port_hi\":%u", algorithm, port_lo, port_hi);
}

static bool has_blocks(const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++)
		if (!plan_blocks_default(&r->mappings[i].blocks) || prefix_is_range(r->mappings[i].in))
			return true;
	return false;
}

static void write_change(FILE *out, const struct history_record *r)
{
	const struct history_mapping *m = &r->mapping;
	unsigned shift = prefix_is_none(m->out) ? 0 : (unsigned)(m->out.plen - m->in.plen);
	char to[TIME_TEXT];

	fputc(',', out);
	write_mapping(out, m);
	if (r->event == EVENT_DEL)
		fprintf(out, ",\"to\":\"%s\"", time_format(r->time, to));
	else
		fputs(",\"to\":null", out);
	if (!plan_blocks_default(&m->blocks)) {
		write_algorithm(out, ALGORITHM_BLOCKS, plan_blocks_lowest(&m->blocks), plan_blocks_last(&m->blocks));
		history_blocks_write(out, &m->blocks);
		return;
	}
	write_algorithm(out, ALGORITHM, MAPPING_FIRST_PORT, LAST_PORT);
	if (prefix_is_none(m->out))
		return;
	fprintf(out, ",\"sharing_ratio\":%u,\"ports_per_host\":%u", 1U << shift, MAPPING_PORTS >> shift);
}

static void write_portmap(FILE *out, const struct history_record *r)
{
	char to[TIME_TEXT];

	fputc(',', out);
	history_portmap_write(out, &r->portmap);
	if (r->ends)
		fprintf(out, ",\"to\":\"%s\"", time_format(r->time, to));
	else
		fputs(",\"to\":null", out);
}

static void write_drain(FILE *out, const struct history_record *r)
{
	char to[TIME_TEXT];

	fputc(',', out);
	history_drain_write(out, &r->drain);
	if (r->event == EVENT_DRAINED)
		fprintf(out, ",\"to\":\"%s\"", time_format(r->time, to));
	else
		fputs(",\"to\":null", out);
}

static void write_list(FILE *out, const struct history_record *r)
{
	write_algorithm(out, has_blocks(r) ? ALGORITHM_BLOCKS : ALGORITHM, MAPPING_FIRST_PORT, LAST_PORT);
	fputs(",\"mappings\":[", out);
	for (size_t i = 0; i < r->n_mappings; i++) {
		fputs(i ? ",{" : "{", out);
		write_mapping(out, &r->mappings[i]);
		if (!plan_blocks_default(&r->mappings[i].blocks))
			history_blocks_write(out, &r->mappings[i].blocks);
		fputc('}', out);
	}
	fputc(']', out);
	for (size_t i = 0; i < r->n_portmaps; i++) {
		fputs(i ? ",{" : ",\"portmaps\":[{", out);
		history_portmap_write(out, &r->portmaps[i]);
		fputs(i + 1 < r->n_portmaps ? "}" : "}]", out);
	}
	for (size_t i = 0; i < r->n_drains; i++) {
		fputs(i ? ",{" : ",\"drains\":[{", out);
		history_drain_write(out, &r->drains[i]);
		fputs(i + 1 < r->n_drains ? "}" : "}]", out);
	}
}

static void write_start(FILE *out, const struct history_record *r)
{
	char since[TIME_TEXT];
	uint64_t needed = has_blocks(r) ? HISTORY_FORMAT_BLOCKS : HISTORY_FORMAT_CONFIRMS;

	fprintf(out, ",\"format\":%" PRIu64 ",\"host\":\"%s\",\"taken_over\":%s,\"unknown_since\":",
		r->format ? r->format : needed, r->host, r->taken_over ? "true" : "false");
	if (r->since == TIME_NONE)
		fputs("null", out);
	else
		fprintf(out, "\"%s\"", time_format(r->since, since));
}

static void write_body(FILE *out, const struct history_record *r)
{
	char text[TIME_TEXT];

	fprintf(out, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"event\":\"%s\"", r->line, time_format(r->time, text),
		words[r->event]);
	switch (r->event) {
	case EVENT_START:
		write_start(out, r);
		write_list(out, r);
		break;
	case EVENT_DAILY:
		write_list(out, r);
		break;
	case EVENT_ADD:
	case EVENT_DEL:
		write_change(out, r);
		break;
	case EVENT_PORTMAP:
		write_portmap(out, r);
		break;
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		write_drain(out, r);
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
	}
}

int history_line_write(FILE *out, const char *body, size_t size, const char prev[static HASH_TEXT],
		       char ret_hash[static HASH_TEXT])
{
	char hash[HASH_TEXT];

	history_hash_of(prev, body, size, hash);
	fwrite(body, 1, size, out);
	fprintf(out, HASH_BEGIN "%s" HASH_END "\n", hash);
	if (ferror(out))
		return -ENOMEM;
	memcpy(ret_hash, hash, HASH_TEXT);
	return 0;
}

int history_record_write(FILE *out, const struct history_record *r, const char prev[static HASH_TEXT],
			 char ret_hash[static HASH_TEXT])
{
	_cleanup_free_ char *body = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&body, &size);

	if (!memory)
		return -ENOMEM;
	write_body(memory, r);
	if (fclose(memory))
		return -ENOMEM;
	return history_line_write(out, body, size, prev, ret_hash);
}

static const char *text_of(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static bool read_time(const cJSON *json, const char *key, int64_t *ret)
{
	const char *text = text_of(json, key);

	return text && !time_parse(text, ret);
}

/* Reads a whole number that a double holds exactly. */
static bool read_count(const cJSON *json, const char *key, uint64_t *ret)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, key);

	if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0 && number->valuedouble <= 1e15) ||
	    number->valuedouble != (double)(uint64_t)number->valuedouble)
		return false;
	*ret = (uint64_t)number->valuedouble;
	return true;
}

static bool read_mapping(const cJSON *json, struct history_mapping *ret)
{
	const char *in = text_of(json, "in"), *out = text_of(json, "out"), *inbound = text_of(json, "inbound");
	const char *name = text_of(json, "name");
	struct geometry g;

	snprintf(ret->name, sizeof(ret->name), "%s", name && label_valid(name) ? name : "");
	if (!in || range_parse(in, &ret->in) || !read_time(json, "from", &ret->from))
		return false;
	ret->open = inbound && !strcmp(inbound, "open");
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "out"))) {
		ret->out = PREFIX_NONE;
		return !inbound;
	}
	if (!out || range_parse(out, &ret->out) || !history_blocks_read(json, ret->in, ret->out, &g))
		return false;
	ret->blocks = plan_blocks_of(&g);
	return (!inbound || (ret->open && g.ratio == 1));
}

/* Returns whether this program implements the algorithm. Blocks are in the mappings, and were read with them. */
static bool algorithm_known(const cJSON *json)
{
	const char *algorithm = text_of(json, "algorithm");
	uint64_t lo, hi;

	if (algorithm && !strcmp(algorithm, ALGORITHM_BLOCKS))
		return true;
	return algorithm && !strcmp(algorithm, ALGORITHM) && read_count(json, "port_lo", &lo) &&
	       read_count(json, "port_hi", &hi) && lo == MAPPING_FIRST_PORT && hi == LAST_PORT;
}

/* Records of histories without portmaps have no list of them. */
static int read_portmaps(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "portmaps"), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->portmaps = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->portmaps));
	if (!r->portmaps)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_portmap_read(item, &r->portmaps[r->n_portmaps++]))
			return -EINVAL;
	return 0;
}

/* The same of drains. */
static int read_drains(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "drains"), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->drains = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->drains));
	if (!r->drains)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!history_drain_read(item, &r->drains[r->n_drains++]))
			return -EINVAL;
	return 0;
}

static int read_list(const cJSON *json, struct history_record *r)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "mappings"), *item;

	if (!cJSON_IsArray(list))
		return -EINVAL;
	r->mappings = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r->mappings));
	if (!r->mappings)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list)
		if (!read_mapping(item, &r->mappings[r->n_mappings++]))
			return -EINVAL;

	int ret = read_portmaps(json, r);

	return ret ? ret : read_drains(json, r);
}

/* A portmap ends with its record, or has no end. */
static int read_portmap(const cJSON *json, struct history_record *r)
{
	const cJSON *to = cJSON_GetObjectItemCaseSensitive(json, "to");

	r->ends = cJSON_IsString(to);
	return history_portmap_read(json, &r->portmap) && (r->ends || cJSON_IsNull(to)) ? 0 : -EINVAL;
}

static int read_start(const cJSON *json, struct history_record *r, struct error *err)
{
	const cJSON *since = cJSON_GetObjectItemCaseSensitive(json, "unknown_since");
	const cJSON *taken_over = cJSON_GetObjectItemCaseSensitive(json, "taken_over");
	const char *host = text_of(json, "host");
	uint64_t format;

	if (!read_count(json, "format", &format) || !host || !cJSON_IsBool(taken_over))
		return -EINVAL;
	if (format > HISTORY_FORMAT)
		return error_set(err, -EINVAL, "format %" PRIu64 " is of a later version", format);
	snprintf(r->host, sizeof(r->host), "%s", host);
	r->format = format;
	r->taken_over = cJSON_IsTrue(taken_over);
	r->since = TIME_NONE;
	return cJSON_IsNull(since) || read_time(json, "unknown_since", &r->since) ? 0 : -EINVAL;
}

/* Before format 3, an undo did not contain the time until which the change may have been in force. */
static bool read_lines(const cJSON *json, struct history_record *r)
{
	r->until = r->time;
	return read_count(json, "first", &r->first) && read_count(json, "last", &r->last) &&
	       (r->event == EVENT_UNDO && !cJSON_HasObjectItem(json, "until") ? true
									      : read_time(json, "until", &r->until));
}

/* Agents before format 3 looked at the clock once in this many seconds. */
#define LOOKED_S 60

static bool read_clock(const cJSON *json, struct history_record *r)
{
	if (!read_time(json, "before", &r->since))
		return false;
	if (cJSON_HasObjectItem(json, "after"))
		return read_time(json, "after", &r->after);
	r->since += LOOKED_S;
	r->after = r->time - LOOKED_S;
	return true;
}

static int read_event(const char *word, enum history_event *ret)
{
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
	const char *word = text_of(json, "event");
	int ret;

	if (!read_count(json, "line", &r->line) || !read_time(json, "time", &r->time) || !word)
		return -EINVAL;
	if (read_event(word, &r->event))
		return error_set(err, -EINVAL, "\"%.32s\" is no event that this version knows", word);
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		ret = r->event == EVENT_START ? read_start(json, r, err) : 0;
		ret = ret ? ret : read_list(json, r);
		break;
	case EVENT_ADD:
	case EVENT_DEL:
		ret = read_mapping(json, &r->mapping) ? 0 : -EINVAL;
		break;
	case EVENT_PORTMAP:
		return read_portmap(json, r);
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		return history_drain_read(json, &r->drain) ? 0 : -EINVAL;
	case EVENT_UNDO:
	case EVENT_CONFIRM:
		return read_lines(json, r) ? 0 : -EINVAL;
	case EVENT_CLOCK:
		return read_clock(json, r) ? 0 : -EINVAL;
	default:
		return 0;
	}
	if (!ret && !algorithm_known(json))
		return error_set(err, -EINVAL,
				 "the ports were given out by an algorithm that this version does not know");
	return ret;
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
