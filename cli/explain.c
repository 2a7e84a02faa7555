// SPDX-License-Identifier: BSD-2-Clause
/* explain: what the agent knows of an address, and why its packets are dropped. */
#include <stdarg.h>
#include <string.h>

#include "command.h"

static const struct column session_columns[] = {
	{ "PROTO", "proto", cell_text, false, 0 },
	{ "INSIDE", "in", cell_endpoint, false, 0 },
	{ "OUTSIDE", "out", cell_endpoint, false, 0 },
	{ "EXTERNAL", "ext", cell_endpoint, false, 0 },
	{ "STATE", "state", cell_text, false, 0 },
	{ "EXPIRES IN", "expires", cell_seconds, true, 0 },
	{},
};

/* The lines of an explanation, with the texts that format_rows() has put together. */
static const struct column fields[] = {
	{ "Mapping", "mapping", cell_text, false, 0 },
	{ "Subscriber", "subscriber", cell_text, false, 0 },
	{ "Subscribers", "subscribers", cell_text, false, 0 },
	{ "Ports", "block", cell_text, false, 0 },
	{ "First choice", "first_choice", cell_text, false, 0 },
	{ "Sessions", "sessions", cell_text, false, 0 },
	{ "Not counted", "others", cell_text, false, 0 },
	{ "Ports in use", "ports_used", cell_text, false, 0 },
	{ "Slots", "slots", cell_text, false, 0 },
	{ "Refused packets", "refused", cell_text, false, 0 },
	{ "Way in", "way_in", cell_text, false, 0 },
	{ "Way out", "way_out", cell_text, false, 0 },
	{},
};

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "-";
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static void __attribute__((format(printf, 3, 4))) put(cJSON *lines, const char *key, const char *format, ...)
{
	char text[CELL_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cJSON_AddStringToObject(lines, key, text);
}

static void put_subscriber(cJSON *lines, const cJSON *s)
{
	const cJSON *busiest = cJSON_GetObjectItemCaseSensitive(s, "busiest");
	char beyond[64] = "", to[96] = "";

	put(lines, "subscriber", "%s", text_of(s, "in_addr"));
	put(lines, "block", "%s:<%.0f-%.0f>", text_of(s, "out_addr"), number_of(s, "port_lo"), number_of(s, "port_hi"));
	put(lines, "sessions", "%.0f of %.0f: tcp %.0f, udp %.0f, icmp %.0f", number_of(s, "sessions"),
	    number_of(s, "quota"), number_of(s, "tcp"), number_of(s, "udp"), number_of(s, "icmp"));
	if (number_of(s, "time_wait") + number_of(s, "expired") > 0)
		put(lines, "others", "%.0f in tcp-time-wait, %.0f expired", number_of(s, "time_wait"),
		    number_of(s, "expired"));
	if (cJSON_IsObject(busiest))
		snprintf(to, sizeof(to), "; most sessions go to %s %s:%.0f: %.0f", text_of(busiest, "proto"),
			 text_of(busiest, "ext_addr"), number_of(busiest, "ext_port"), number_of(busiest, "sessions"));
	put(lines, "ports_used", "%.0f of %.0f%s", number_of(s, "ports_used"), number_of(s, "ports"), to);
	if (number_of(s, "overflow") > 0)
		snprintf(beyond, sizeof(beyond), ", and %.0f sessions beyond them", number_of(s, "overflow"));
	put(lines, "slots", "%.0f of %.0f in use%s", number_of(s, "slots") - number_of(s, "slots_free"),
	    number_of(s, "slots"), beyond);
	put(lines, "refused", "%.0f", number_of(s, "quota_exceeded"));
}

static void put_pool(cJSON *lines, const cJSON *pool)
{
	put(lines, "subscribers", "%.0f, %s to %s; with sessions %.0f, at their quota %.0f",
	    number_of(pool, "subscribers"), text_of(pool, "in_first"), text_of(pool, "in_last"),
	    number_of(pool, "active"), number_of(pool, "at_quota"));
	put(lines, "sessions", "%.0f", number_of(pool, "sessions"));
	put(lines, "refused", "%.0f", number_of(pool, "quota_exceeded"));
}

static void put_way(cJSON *lines, const char *key, const cJSON *way)
{
	const char *mac = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(way, "mac"));

	if (mac)
		put(lines, key, "to %s by %s, next hop %s at %s", text_of(way, "addr"), text_of(way, "interface"),
		    text_of(way, "next_hop"), mac);
	else
		put(lines, key, "to %s by %s, next hop %s (%s)", text_of(way, "addr"), text_of(way, "interface"),
		    text_of(way, "next_hop"), text_of(way, "neighbour"));
}

static cJSON *lines_of(const cJSON *result)
{
	const cJSON *mapping = cJSON_GetObjectItemCaseSensitive(result, "mapping"), *item;
	cJSON *lines = cJSON_CreateObject();

	if (cJSON_IsObject(mapping))
		put(lines, "mapping", "%s to %s, %.0f subscribers an outside address", text_of(mapping, "in"),
		    text_of(mapping, "out"), number_of(mapping, "sharing_ratio"));
	if ((item = cJSON_GetObjectItemCaseSensitive(result, "subscriber")))
		put_subscriber(lines, item);
	if ((item = cJSON_GetObjectItemCaseSensitive(result, "pool")))
		put_pool(lines, item);
	if ((item = cJSON_GetObjectItemCaseSensitive(result, "first_choice")))
		put(lines, "first_choice", "%s", text_of(result, "first_choice"));
	if ((item = cJSON_GetObjectItemCaseSensitive(result, "way_in")))
		put_way(lines, "way_in", item);
	if ((item = cJSON_GetObjectItemCaseSensitive(result, "way_out")))
		put_way(lines, "way_out", item);
	return lines;
}

static void show_findings(struct writer *w, const cJSON *findings)
{
	const cJSON *f;

	if (!cJSON_GetArraySize(findings))
		writer_line(w, "\nNothing stands in the way of its packets.");
	cJSON_ArrayForEach (f, findings) {
		bool drops = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "drops"));

		writer_line(w, "\n%s (%s): %s", drops ? "DROPPED" : "Note", text_of(f, "reason"), text_of(f, "text"));
		if (*text_of(f, "advice"))
			writer_line(w, "    What to do: %s", text_of(f, "advice"));
	}
}

static void show_explanation(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *sessions = cJSON_GetObjectItemCaseSensitive(result, "sessions");
	const char *side = text_of(result, "side"), *place = text_of(args, "place");
	cJSON *lines = lines_of(result);

	if (!strcmp(side, "none"))
		writer_line(w, "%s is in no mapping.", place);
	else
		writer_line(w, "%s is %s.", place, !strcmp(side, "inside") ? "inside" : "outside, in the pool");
	writer_fields(w, fields, lines);
	cJSON_Delete(lines);
	if (cJSON_GetArraySize(sessions)) {
		double more = number_of(result, "matching") - cJSON_GetArraySize(sessions);

		writer_line(w, "%s", "");
		writer_table(w, session_columns, "", sessions);
		if (more > 0)
			writer_line(w, "... and %.0f more", more);
	}
	show_findings(w, cJSON_GetObjectItemCaseSensitive(result, "findings"));
}

/* Found or not: an explanation there is either way. */
static int status_of(const cJSON *result, struct error *err)
{
	const char *addr = text_of(result, "addr");

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "found")))
		return EXIT_DONE;
	if (!strcmp(text_of(result, "side"), "none"))
		return error_set(err, EXIT_REFUSED, "%s is in no mapping", addr);
	return error_set(err, EXIT_REFUSED, "%s:%.0f has no subscriber", addr, number_of(result, "port"));
}

const struct command explain_commands[] = {
	{ .verb = VERB_EXPLAIN,
	  .usage = "ADDR[:PORT]",
	  .purpose = "tell all of an inside or outside address, and why its packets are dropped",
	  .details =
		  "With a port, the sessions of that endpoint too. Exit status 1 where no subscriber stands behind it.",
	  .example = "explain 10.0.0.3",
	  .show = show_explanation,
	  .status = status_of },
	{},
};
