// SPDX-License-Identifier: BSD-2-Clause
/* Sessions and subscribers. */
#include "command.h"
#include "json_get.h"

const struct column session_columns[] = {
	{ "PROTO", "proto", cell_text, false, 5 },
	{ "INSIDE", "in", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) },
	{ "OUTSIDE", "out", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "EXTERNAL", "ext", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "STATE", "state", cell_text, false, 15 },
	{ "EXPIRES IN", "expires", cell_seconds, true, 10 },
	{},
};

/* Ports in use by protocol; of an older agent nothing. */
static void cell_ports(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *ports = json_get(row, key);

	*text = 0;
	if (cJSON_IsObject(ports))
		snprintf(text, CELL_TEXT, "tcp %.0f, udp %.0f, icmp %.0f", json_number(ports, "tcp"),
			 json_number(ports, "udp"), json_number(ports, "icmp"));
}

/* Granted blocks: "58368-58495, 60032-60159". */
static void cell_granted(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *item;
	size_t n = 0;

	snprintf(text, CELL_TEXT, "-");
	cJSON_ArrayForEach (item, json_get(row, key))
		if (n < CELL_TEXT)
			n += (size_t)snprintf(text + n, CELL_TEXT - n, "%s%.0f-%.0f", n ? ", " : "",
					      json_number(item, "port_lo"), json_number(item, "port_hi"));
}

/* How near the subscriber is to each limit that is set. */
static void cell_limits(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	static const char *const names[] = { "tcp", "udp", "icmp" };
	const cJSON *limits = json_get(row, key);
	size_t n = 0;

	snprintf(text, CELL_TEXT, "-");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const cJSON *of = json_get(limits, names[i]);

		if (of && n < CELL_TEXT)
			n += (size_t)snprintf(text + n, CELL_TEXT - n, "%s%s %.0f of %.0f", n ? ", " : "", names[i],
					      json_number(of, "sessions"), json_number(of, "limit"));
	}
	if (json_get(limits, "tokens") && n < CELL_TEXT)
		snprintf(text + n, CELL_TEXT - n, "%s%.0f of %.0f new, %.0f a second", n ? ", " : "",
			 json_number(limits, "tokens"), json_number(limits, "new_burst"),
			 json_number(limits, "new_per_second"));
}

static const struct column user_fields[] = {
	{ "Inside address", "in_addr", cell_text, false, 0 },
	{ "Tenant", "tenant", cell_text, false, 0 },
	{ "Mapping", "mapping", cell_text, false, 0 },
	{ "Outside address", "out_addr", cell_text, false, 0 },
	{ "First port", "port_lo", cell_number, false, 0 },
	{ "Last port", "port_hi", cell_number, false, 0 },
	{ "Granted ports", "grants", cell_granted, false, 0 },
	{ "Sessions", "sessions", cell_number, false, 0 },
	{ "Quota", "quota", cell_number, false, 0 },
	{ "Limits", "limits", cell_limits, false, 0 },
	{ "Ports in use", "ports_in_use", cell_ports, false, 0 },
	{ "Bound ports", "bindings", cell_number, false, 0 },
	{ "Refused packets", "quota_exceeded", cell_number, false, 0 },
	{},
};

static void show_closed(struct writer *w, const cJSON *result, const cJSON *args)
{
	char closed[CELL_TEXT];

	cell_number(result, "closed", closed);
	writer_line(w, "closed %s", closed);
}

static void show_flushed(struct writer *w, const cJSON *result, const cJSON *args)
{
	char closed[CELL_TEXT];

	cell_number(result, "closed", closed);
	writer_line(w, "%s %s", cJSON_IsTrue(json_get(result, "dry_run")) ? "would close" : "closed", closed);
}

/* Hosts of an IPv6 subscriber stand behind his own figures. */
static void show_user(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *host;

	writer_fields(w, user_fields, result);
	cJSON_ArrayForEach (host, json_get(result, "hosts")) {
		writer_line(w, "Host:            %s, %.0f sessions", json_text(host, "addr", "-"),
			    json_number(host, "sessions"));
	}
}

const struct view view_session_list = { .columns = session_columns, .empty = "no sessions" };
const struct view view_session_close = { .show = show_closed };
const struct view view_session_flush = { .show = show_flushed };
const struct view view_user_show = { .show = show_user };
