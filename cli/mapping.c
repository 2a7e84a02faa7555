// SPDX-License-Identifier: BSD-2-Clause
/* Mappings, and their arithmetic in both directions. */
#include <string.h>

#include "command.h"
#include "json_get.h"

/* An outside prefix, or none. */
static void cell_outside(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	if (cJSON_IsNull(json_get(row, key)))
		snprintf(text, CELL_TEXT, "none");
	else
		cell_text(row, key, text);
}

/* How long it drains, or when it ends by itself. */
static void cell_state(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	char state[CELL_TEXT], left[CELL_TEXT];

	cell_text(row, key, state);
	cell_seconds(row, "drain_left", left);
	if (cJSON_IsNumber(json_get(row, "drain_left")))
		snprintf(text, CELL_TEXT, "%.100s, %.100s", state, left);
	else if (cJSON_IsString(json_get(row, "until")))
		snprintf(text, CELL_TEXT, "%.100s until %.100s", state, json_text(row, "until", "-"));
	else
		snprintf(text, CELL_TEXT, "%.200s", state);
}

/* Without the key, a mapping that is translated has the default. */
static void cell_first(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	cell_number(row, key, text);
	if (!json_get(row, key) && json_number(row, "ports_per_host") > 0)
		strcpy(text, "1024");
}

static void cell_pitch(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	cell_number(row, key, text);
	if (!json_get(row, key) && json_number(row, "ports_per_host") > 0)
		cell_number(row, "ports_per_host", text);
}

static void cell_order(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	cell_text(row, key, text);
	if (!json_get(row, key) && json_number(row, "ports_per_host") > 0)
		strcpy(text, "sequential");
}

static const struct column mapping_columns[] = {
	{ "NAME", "name", cell_text, false, 0 },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_ANY },
	{ "INSIDE", "in", cell_text, false, 0 },
	{ "OUTSIDE", "out", cell_outside, false, 0 },
	{ "INBOUND", "inbound", cell_text, false, 0 },
	{ "WITHIN", "within", cell_text, false, 0 },
	{ "RATIO", "sharing_ratio", cell_number, true, 0 },
	{ "PORTS/HOST", "ports_per_host", cell_number, true, 0 },
	{ "FIRST", "first_port", cell_first, true, WIDTH_IF_ANY },
	{ "PITCH", "block_pitch", cell_pitch, true, WIDTH_IF_ANY },
	{ "ORDER", "order", cell_order, false, WIDTH_IF_ANY },
	{ "SLOTS/HOST", "session_slots", cell_number, true, 0 },
	{ "QUOTA", "sessions_per_user", cell_number, true, 0 },
	{ "EIM", "eim", cell_list, false, 0 },
	{ "EIF", "eif", cell_list, false, 0 },
	{ "MEMORY", "memory_bytes", cell_bytes, true, 0 },
	{ "SESSIONS", "sessions", cell_number, true, 0 },
	{ "STATE", "state", cell_state, false, 0 },
	{ "SPARE", "spare", cell_list, false, 0 },
	{ "COMMENT", "comment", cell_quoted, false, 0 },
	{},
};

static void show_added(struct writer *w, const cJSON *result, const cJSON *args)
{
	char in[CELL_TEXT], out[CELL_TEXT], ratio[CELL_TEXT], ports[CELL_TEXT], memory[CELL_TEXT],
		inside[CELL_TEXT] = "";
	const char *within = json_text(result, "within_name", json_text(result, "within", NULL));

	cell_text(result, "in", in);
	cell_text(result, "out", out);
	if (within)
		snprintf(inside, sizeof(inside), ", inside %s", within);
	if (cJSON_IsNull(json_get(result, "out"))) {
		writer_line(w, "added %s, not translated%s", in, inside);
		return;
	}
	cell_number(result, "sharing_ratio", ratio);
	cell_number(result, "ports_per_host", ports);
	cell_bytes(result, "memory_bytes", memory);
	if (!strcmp(json_text(result, "inbound", ""), "open"))
		writer_line(w, "added %s to %s: inbound open, %s of memory%s", in, out, memory, inside);
	else
		writer_line(w, "added %s to %s: sharing ratio %s, %s ports a host, %s of memory%s", in, out, ratio,
			    ports, memory, inside);
}

static void show_set(struct writer *w, const cJSON *result, const cJSON *args)
{
	char in[CELL_TEXT], out[CELL_TEXT], quota[CELL_TEXT], eim[CELL_TEXT], eif[CELL_TEXT];

	cell_text(result, "in", in);
	cell_outside(result, "out", out);
	cell_number(result, "sessions_per_user", quota);
	cell_list(result, "eim", eim);
	cell_list(result, "eif", eif);
	writer_line(w, "%s to %s: named %s, %s sessions a user; EIM %s; EIF %s", in, out,
		    json_text(result, "name", "-"), quota, eim, eif);
}

static void show_deleted(struct writer *w, const cJSON *result, const cJSON *args)
{
	char in[CELL_TEXT], out[CELL_TEXT], drain[CELL_TEXT];

	cell_text(args, "in", in);
	cell_text(args, "out", out);
	cell_seconds(args, "drain", drain);
	if (json_number(args, "drain") > 0)
		writer_line(w, "deleted %s%s%s; its sessions go on for %s at most", in,
			    json_get(args, "out") ? " to " : "", json_get(args, "out") ? out : "", drain);
	else if (json_get(args, "out"))
		writer_line(w, "deleted %s to %s", in, out);
	else
		writer_line(w, "deleted %s", in);
}

static void show_forward(struct writer *w, const cJSON *result, const cJSON *args)
{
	char addr[CELL_TEXT], lo[CELL_TEXT], hi[CELL_TEXT];
	const cJSON *item;

	cell_text(result, "out_addr", addr);
	cell_number(result, "port_lo", lo);
	cell_number(result, "port_hi", hi);
	writer_line(w, "%s:<%s-%s>", addr, lo, hi);
	cJSON_ArrayForEach (item, json_get(result, "draining")) {
		char sessions[CELL_TEXT], left[CELL_TEXT];

		cell_text(item, "out_addr", addr);
		cell_number(item, "port_lo", lo);
		cell_number(item, "port_hi", hi);
		cell_number(item, "sessions", sessions);
		cell_seconds(item, "drain_left", left);
		writer_line(w, "%s:<%s-%s> draining, sessions: %s, for %s at most", addr, lo, hi, sessions, left);
	}
	cell_text(result, "out_addr", addr);
	cJSON_ArrayForEach (item, json_get(result, "grants")) {
		cell_number(item, "port_lo", lo);
		cell_number(item, "port_hi", hi);
		writer_line(w, "%s:<%s-%s> granted since %s", addr, lo, hi, json_text(item, "from", "-"));
	}
}

static void show_portmap(struct writer *w, const cJSON *portmap)
{
	char proto[CELL_TEXT], addr[CELL_TEXT], port[CELL_TEXT];

	if (!portmap)
		return;
	cell_text(portmap, "proto", proto);
	cell_text(portmap, "in_addr", addr);
	cell_number(portmap, "in_port", port);
	writer_line(w, "Portmap: %s (%s to %s:%s)", json_text(portmap, "name", "-"), proto, addr, port);
}

static void show_reverse(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *former = json_get(result, "drains_from"), *granted = json_get(result, "granted");
	const char *in = json_text(former, "in", "-"), *out = json_text(former, "out", "-");
	const char *tenant = json_text(result, "tenant", "");
	char addr[CELL_TEXT], left[CELL_TEXT], rest[CELL_TEXT];

	cell_text(result, "in_addr", addr);
	/* The same address may be inside more than one. */
	if (*tenant)
		snprintf(addr, sizeof(addr), "%.64s of %.63s", json_inside(result, "-"), tenant);
	cell_seconds(result, "drain_left", left);
	cell_seconds(result, "rest_left", rest);
	if (cJSON_IsNumber(json_get(result, "drain_left")))
		writer_line(w, "%s, for sessions that drain from mapping %s to %s, %s at most", addr, in, out, left);
	else if (cJSON_IsNumber(json_get(result, "rest_left")))
		writer_line(w, "%s, until its sessions had drained from mapping %s to %s; the ports rest for %s", addr,
			    in, out, rest);
	else if (granted)
		writer_line(w, "%s, to whom ports %.0f-%.0f are granted since %s", addr,
			    json_number(granted, "port_lo"), json_number(granted, "port_hi"),
			    json_text(granted, "from", "-"));
	else
		writer_line(w, "%s", addr);
	show_portmap(w, json_get(result, "portmap"));
	show_portmap(w, json_get(result, "portmap_udp"));
}

const struct view view_mapping_add = { .show = show_added };
const struct view view_mapping_del = { .show = show_deleted };
const struct view view_mapping_set = { .show = show_set };
const struct view view_mapping_list = { .columns = mapping_columns, .empty = "no mappings" };
const struct view view_forward = { .show = show_forward };
const struct view view_reverse = { .show = show_reverse };
