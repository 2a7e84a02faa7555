// SPDX-License-Identifier: BSD-2-Clause
/* Complaints for machines: ACNS (XML), X-ARF, and what tcpdump prints. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "leases/complaint_private.h"
#include "leases/import_private.h"

/* A value of an element or a key. */
#define VALUE_TEXT 128U

/* Copies the text of the first element of a name in begin..end; false: there is none. Namespaces are not looked at. */
static bool element(const char *begin, const char *end, const char *name, char *ret)
{
	size_t n = strlen(name);

	for (const char *at = begin; (at = memchr(at, '<', (size_t)(end - at)));) {
		const char *colon, *close;
		size_t size;

		at++;
		size = strcspn(at, " /<>\t\r\n");
		colon = memchr(at, ':', size);
		if (colon) {
			size -= (size_t)(colon + 1 - at);
			at = colon + 1;
		}
		if (size != n || strncasecmp(at, name, n) != 0)
			continue;
		at = memchr(at, '>', (size_t)(end - at));
		close = at ? memchr(at, '<', (size_t)(end - at)) : NULL;
		if (!close || (size_t)(close - at) > VALUE_TEXT)
			return false;
		memcpy(ret, at + 1, (size_t)(close - at) - 1);
		ret[close - at - 1] = '\0';
		memmove(ret, import_trim(ret), strlen(import_trim(ret)) + 1);
		return true;
	}
	return false;
}

static uint64_t lines_between(const char *from, const char *to)
{
	uint64_t n = 0;

	for (; (from = memchr(from, '\n', (size_t)(to - from))); from++)
		n++;
	return n;
}

/* ACNS: <Source><TimeStamp/><IP_Address/><Port/></Source>, several of them. */
bool complaint_xml(const struct complaints *c, int *ret)
{
	const char *source = strcasestr(c->text, "<Source>");
	uint64_t line = 1;

	if (!source || !strcasestr(c->text, "Infringement"))
		return false;
	line += lines_between(c->text, source);
	while (source && !*ret) {
		const char *next = strcasestr(source + 1, "<Source>"), *end = next ? next : c->text + c->size;
		char time[VALUE_TEXT + 1], addr[VALUE_TEXT + 1], port[VALUE_TEXT + 1];
		struct complaint_parts parts = { .line = line };

		parts.time = element(source, end, "TimeStamp", time) ? time : NULL;
		parts.addr = element(source, end, "IP_Address", addr) ? addr : NULL;
		parts.port = element(source, end, "Port", port) ? port : NULL;
		*ret = complaint_give(c, &parts);
		line += lines_between(source, end);
		source = next;
	}
	return true;
}

/* Copies the value of a key, `Key: value` or `"Key": "value"`, at the beginning of a line; false: there is none. */
static bool key_value(const char *text, const char *key, char *ret)
{
	size_t n = strlen(key), size;

	for (const char *at = text; (at = strcasestr(at, key)); at += n) {
		const char *before = at, *value;

		while (before > text && strchr("\" \t{,", before[-1]))
			before--;
		value = at + n + (at[n] == '"');
		if ((before > text && before[-1] != '\n') || *value != ':')
			continue;
		value += 1 + strspn(value + 1, " \t\"'");
		size = strcspn(value, "\r\n\"'");
		if (size > VALUE_TEXT)
			return false;
		memcpy(ret, value, size);
		ret[size] = '\0';
		for (char *end = ret + size; end > ret && strchr(", }", end[-1]);)
			*--end = '\0';
		return true;
	}
	return false;
}

/* Larger texts are no reports. */
#define JSON_MAX (1U << 20)

/* Reports in JSON, and the line of the one that is read. */
struct reports {
	const struct complaints *c;
	const char *at; /* of the last report's address */
	uint64_t line;
};

/* A member of an object as text, "" for none. */
static const char *member(const cJSON *json, const char *name, char room[static VALUE_TEXT + 1])
{
	const cJSON *item = cJSON_GetObjectItem(json, name);

	if (cJSON_IsString(item))
		snprintf(room, VALUE_TEXT + 1, "%s", item->valuestring);
	else if (cJSON_IsNumber(item))
		snprintf(room, VALUE_TEXT + 1, "%.0f", item->valuedouble);
	else
		*room = '\0';
	return room;
}

static int give_report(struct reports *x, const cJSON *json, bool later)
{
	char time[VALUE_TEXT + 1], addr[VALUE_TEXT + 1], port[VALUE_TEXT + 1];
	const char *key = later ? "\"source_identifier\"" : "\"SourceIp\"", *at = strcasestr(x->at, key);
	struct complaint_parts parts = { 0 };

	/* A key that is written otherwise is not looked for again. */
	x->line += at ? lines_between(x->at, at) : 0;
	x->at = at ? at + 1 : "";
	parts.line = x->line;
	parts.time = member(json, later ? "timestamp" : "Date", time);
	parts.addr = member(json, later ? "source_identifier" : "SourceIp", addr);
	parts.port = member(json, later ? "source_port" : "SourcePort", port);
	parts.time = *time ? time : NULL;
	return complaint_give(x->c, &parts);
}

/* Gives each object that names a source; cJSON limits how deep they are. */
static int give_reports(struct reports *x, const cJSON *json)
{
	const cJSON *item;
	int r = 0;

	if (cJSON_IsObject(json) && cJSON_HasObjectItem(json, "source_identifier"))
		return give_report(x, json, true);
	if (cJSON_IsObject(json) && cJSON_HasObjectItem(json, "SourceIp"))
		return give_report(x, json, false);
	for (item = json->child; item && !r; item = item->next)
		r = give_reports(x, item);
	return r;
}

/* X-ARF from 0.2 on, alone or in a mail. */
bool complaint_json(const struct complaints *c, int *ret)
{
	const char *begin = c->text + strspn(c->text, " \t\r\n");
	struct reports x = { .c = c, .line = 1 };
	cJSON *json;

	if (!strcasestr(c->text, "\"SourceIp\"") && !strcasestr(c->text, "\"source_identifier\""))
		return false;
	while (begin && *begin != '{' && *begin != '[') {
		begin = strpbrk(begin, "\n");
		begin = begin ? begin + strspn(begin, " \t\r\n") : NULL;
	}
	if (!begin || strlen(begin) > JSON_MAX)
		return false;
	json = cJSON_ParseWithOpts(begin, NULL, false);
	if (!json)
		return false;
	x.at = begin;
	x.line += lines_between(c->text, begin);
	*ret = give_reports(&x, json);
	cJSON_Delete(json);
	return true;
}

/* X-ARF: Date, Source, Source-Port, or JSON that is cut: Date, SourceIp, SourcePort. */
bool complaint_arf(const struct complaints *c, int *ret)
{
	char time[VALUE_TEXT + 1], addr[VALUE_TEXT + 1], port[VALUE_TEXT + 1];
	const char *body = strcasestr(c->text, "Schema-URL");
	const char *json = strcasestr(c->text, "\"SourceIp\"");
	struct complaint_parts parts = { .line = 1 };

	if (!body && !json && !strcasestr(c->text, "X-XARF") && !strcasestr(c->text, "X-ARF"))
		return false;
	/* The mail's own header has a Date, too. */
	body = strcasestr(c->text, "\nReported-From:");
	body = body ? body : strcasestr(c->text, "\nSource:");
	body = json ? c->text : body;
	if (!body)
		return false;
	for (const char *p = body; !json && p > c->text && strncmp(p, "\n\n", 2) != 0 && strncmp(p, "\n\r\n", 3) != 0;
	     p--)
		body = p;
	body += strspn(body, "\r\n");
	parts.line = 1 + lines_between(c->text, body);
	parts.time = key_value(body, "Date", time) ? time : NULL;
	parts.addr = key_value(body, "SourceIp", addr) || key_value(body, "Source", addr) ? addr : NULL;
	parts.port = key_value(body, "SourcePort", port) || key_value(body, "Source-Port", port) ||
				     key_value(body, "Port", port)
			     ? port
			     : NULL;
	*ret = complaint_give(c, &parts);
	return true;
}

/* "IP 203.0.113.36.5100 > 198.51.100.7.443:": the side that is asked about is the one with the port, the source. */
static bool tcpdump_endpoint(const char *text, struct endpoint *ret)
{
	const char *ip = strstr(text, " IP ");
	unsigned a, b, c, d, port;
	int used = 0;

	if (!ip || sscanf(ip + 4, "%3u.%3u.%3u.%3u.%5u%n", &a, &b, &c, &d, &port, &used) != 5 ||
	    strncmp(ip + 4 + used, " > ", 3) != 0 || a > 255 || b > 255 || c > 255 || d > 255 || port > UINT16_MAX)
		return false;
	*ret = (struct endpoint){ a << 24 | b << 16 | c << 8 | d, (uint16_t)port };
	return true;
}

static int tcpdump_line(const struct complaints *c, void *state, uint64_t line, char *text)
{
	struct endpoint out;
	struct error why = { 0 };
	int64_t t = 0;
	int r;

	(void)state;
	if (!tcpdump_endpoint(text, &out))
		return 0;
	*strstr(text, " IP ") = '\0';
	r = zone_time_read(import_trim(text), c->zone, &t, &why);
	/* A time of the day alone is none. */
	if (r && r != -ENODATA)
		error_set(&why, r = -ENOENT, "the line has no date: tcpdump -tttt prints dates");
	return complaint_give_time(c, line, out, r, t, &why);
}

bool complaint_tcpdump(const struct complaints *c, int *ret)
{
	struct endpoint out;
	const char *ip = strstr(c->text, " IP ");

	if (!ip || !strstr(ip, " > "))
		return false;
	/* The first that looks like one decides. */
	if (!tcpdump_endpoint(ip, &out))
		return false;
	*ret = complaint_lines(c, tcpdump_line, NULL);
	return true;
}
