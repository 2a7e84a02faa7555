// SPDX-License-Identifier: BSD-2-Clause
/* The agent as a whole: status, counters, reload. */
#include <string.h>

#include "base/text.h"
#include "command.h"
#include "json_get.h"
#include "proto/reason_texts.h"

static const struct column counter_columns[] = {
	{ "COUNTER", "name", cell_text, false, 0 },
	{ "VALUE", "value", cell_number, true, 0 },
	{ "MEANING", "meaning", cell_text, false, 0 },
	{},
};

/* Shows the end of the mapping history, for comparison with a copy. */
static void cell_history(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *history = json_get(row, key);
	char line[CELL_TEXT], hash[CELL_TEXT];

	strcpy(text, "-");
	if (!cJSON_IsObject(history))
		return;
	cell_number(history, "line", line);
	cell_text(history, "hash", hash);
	snprintf(text, CELL_TEXT, "line %.20s, %.64s", line, hash);
}

/* Shows whether the guard is in place, or the reason why not, and the number of packets it has stopped. */
static void cell_guard(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *guard = json_get(row, key);
	char state[CELL_TEXT], dropped[CELL_TEXT];

	strcpy(text, "-");
	if (!cJSON_IsObject(guard))
		return;
	cell_text(guard, "reason", state);
	cell_number(guard, "dropped", dropped);
	if (cJSON_IsTrue(json_get(guard, "active")))
		snprintf(text, CELL_TEXT, "yes, %.20s packets stopped", dropped);
	else
		snprintf(text, CELL_TEXT, "no: %.120s", state);
}

/* Shows how many of the kernel's routes the datapath has copied, and the reason if it does not use them. */
static void cell_routes(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *routes = json_get(row, key), *item;
	char count[CELL_TEXT], hops[CELL_TEXT], memory[CELL_TEXT];
	double left = 0;

	strcpy(text, "-");
	if (!cJSON_IsObject(routes))
		return;
	cell_number(routes, "routes", count);
	cell_number(routes, "next_hops", hops);
	cell_bytes(routes, "memory_bytes", memory);
	cJSON_ArrayForEach (item, json_get(routes, "left_to_kernel"))
		left += item->valuedouble;
	item = cJSON_GetArrayItem(json_get(routes, "held_by"), 0);
	if (cJSON_IsString(item))
		snprintf(text, CELL_TEXT, "the kernel is asked: %.40s", item->valuestring);
	else
		snprintf(text, CELL_TEXT, "%.20s copied, %.20s next hops, %.0f left to the kernel, %.20s", count, hops,
			 left, memory);
}

/* Shows the number of leases, and where the server listens. */
static void cell_pcp(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *pcp = json_get(row, key);

	if (!cJSON_IsObject(pcp))
		strcpy(text, "off");
	else
		snprintf(text, CELL_TEXT, "%.0f of %.0f leases, listening at %.0f addresses",
			 json_number(pcp, "leases"), json_number(pcp, "limit"), json_number(pcp, "listening"));
}

/* Nothing where no mapping grows, and of an older agent. */
static void cell_grants(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *grants = json_get(row, key);

	strcpy(text, "-");
	if (grants && !cJSON_IsNull(grants))
		snprintf(text, CELL_TEXT, "%.0f granted, %.0f resting; addresses without one left: %.0f",
			 json_number(grants, "blocks"), json_number(grants, "resting"),
			 json_number(grants, "addresses_full"));
}

/* Shows how many peers are in which state, and the longest lag. */
static void cell_replication(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	static const char *const states[] = { "synchronised", "copying", "differs", "mismatch", "down" };
	const cJSON *replication = json_get(row, key);
	size_t n;

	if (!cJSON_IsObject(replication)) {
		strcpy(text, "off");
		return;
	}
	n = (size_t)snprintf(text, CELL_TEXT, "%.0f peer%s", json_number(replication, "peers"),
			     json_number(replication, "peers") == 1 ? "" : "s");
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (json_number(replication, states[i]) > 0)
			n += (size_t)snprintf(text + n, CELL_TEXT - n, ", %.0f %s", json_number(replication, states[i]),
					      states[i]);
	if (cJSON_IsNumber(json_get(replication, "lag_seconds")))
		snprintf(text + n, CELL_TEXT - n, ", lag %.2f s", json_number(replication, "lag_seconds"));
}

/* Shows how many sources there are, and what they gave. */
static void cell_leases(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *leases = json_get(row, key);

	if (!cJSON_IsObject(leases))
		strcpy(text, "off");
	else
		snprintf(text, CELL_TEXT, "%.0f source%s, %.0f lines, the last at %.40s",
			 json_number(leases, "sources"), json_number(leases, "sources") == 1 ? "" : "s",
			 json_number(leases, "lines"), json_text(leases, "last", "-"));
}

/* Shows who forwards, and the interfaces that differ. */
static void cell_forwardings(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const char *all = json_text(row, key, "-");
	const cJSON *item;

	cell_reasoned(row, key, text);
	cJSON_ArrayForEach (item, json_get(row, "interfaces")) {
		char own[CELL_TEXT];
		size_t n = strlen(text);

		if (!strcmp(json_text(item, key, "-"), all) || n >= CELL_TEXT)
			continue;
		cell_reasoned(item, key, own);
		snprintf(text + n, CELL_TEXT - n, "; %.15s: %.200s", json_text(item, "name", "-"), own);
	}
}

/* Shows the number of stages, and the reason. */
static void cell_stages(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	size_t n;

	cell_number(row, key, text);
	n = strlen(text);
	if (json_text(row, "stages_reason", NULL))
		snprintf(text + n, CELL_TEXT - n, " (%.160s)", json_text(row, "stages_reason", ""));
}

static const struct column status_fields[] = {
	{ "Version", "version", cell_text, false, 0 },
	{ "Uptime", "uptime", cell_duration, false, 0 },
	{ "Started", "started", cell_text, false, 0 },
	{ "Forwarding", "forwarding", cell_forwardings, false, 0 },
	{ "Stages", "stages", cell_stages, false, 0 },
	{ "Mappings", "mappings", cell_number, false, 0 },
	{ "Portmaps", "portmaps", cell_number, false, 0 },
	{ "Sessions", "sessions", cell_number, false, 0 },
	{ "Memory of tables", "memory_bytes", cell_bytes, false, 0 },
	{ "Mapping history", "history", cell_history, false, 0 },
	{ "Guard", "guard", cell_guard, false, 0 },
	{ "Routes", "routes", cell_routes, false, 0 },
	{ "Blocks that grow", "grants", cell_grants, false, 0 },
	{ "PCP", "pcp", cell_pcp, false, 0 },
	{ "Replication", "replication", cell_replication, false, 0 },
	{ "Leases", "leases", cell_leases, false, 0 },
	{ "Tracing", "tracing", cell_flag, false, 0 },
	{},
};

/* Returns an empty text for a counter that only a newer agent has. */
static const char *meaning(const char *name)
{
	for (unsigned i = 0; i < N_REASONS; i++)
		if (!strcmp(reason_texts[i].name, name))
			return reason_texts[i].text;
	return "";
}

/* Adds the counters that are not zero. */
static void add_counters(cJSON *table, const cJSON *counters)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, counters) {
		cJSON *row;

		if (item->valuedouble == 0)
			continue;
		row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "name", item->string);
		cJSON_AddNumberToObject(row, "value", item->valuedouble);
		cJSON_AddStringToObject(row, "meaning", meaning(item->string));
		cJSON_AddItemToArray(table, row);
	}
}

static void show_stats(struct writer *w, const cJSON *result, const cJSON *args)
{
	cJSON *table = cJSON_CreateArray();

	add_counters(table, json_get(result, "counters"));
	add_counters(table, json_get(result, "octets"));
	writer_table(w, counter_columns, "all counters are zero", table);
	cJSON_Delete(table);
}

static void show_status(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *trouble;

	writer_fields(w, status_fields, result);
	if (cJSON_IsString(json_get(result, "unconfirmed_until")))
		writer_line(w, "Unconfirmed: the reload is taken back at %s; `detnatctl confirm` keeps it",
			    json_text(result, "unconfirmed_until", "-"));
	cJSON_ArrayForEach (trouble, json_get(result, "warnings")) {
		writer_line(w, "Warning: %s: %s", json_text(trouble, "what", "-"), json_text(trouble, "text", "-"));
	}
	cJSON_ArrayForEach (trouble, json_get(result, "troubles")) {
		char what[CELL_TEXT], since[CELL_TEXT];

		cell_text(trouble, "what", what);
		cell_text(trouble, "since", since);
		writer_line(w, "Trouble: %s, since %s: %s", what, since, json_text(trouble, "text", "-"));
	}
}

/* A mapping that a reload would change, and the effect on its sessions. */
static void show_reload_of(struct writer *w, const char *what, const cJSON *m)
{
	const char *name = json_text(m, "name", ""), *out = json_text(m, "out", "none");
	char in[CELL_TEXT];

	snprintf(in, sizeof(in), *name ? "%.64s (%.64s)" : "%.0s%.64s", name, json_text(m, "in", "-"));
	if (!json_get(m, "sessions"))
		writer_line(w, "%s %s to %s", what, in, out);
	else if (json_number(m, "drain") > 0)
		writer_line(w, "%s %s to %s: %.0f sessions would drain for %.0f s at most", what, in, out,
			    json_number(m, "sessions"), json_number(m, "drain"));
	else
		writer_line(w, "%s %s to %s: %.0f sessions would end", what, in, out, json_number(m, "sessions"));
}

/* "203.0.113.0:443", "203.0.113.0:800-809" */
static void cell_ports(const cJSON *m, const char *addr, const char *port, char text[static CELL_TEXT])
{
	double first = json_number(m, port), ports = json_number(m, "ports");

	if (ports > 1)
		snprintf(text, CELL_TEXT, "%.40s:%.0f-%.0f", json_text(m, addr, "-"), first, first + ports - 1);
	else
		snprintf(text, CELL_TEXT, "%.40s:%.0f", json_text(m, addr, "-"), first);
}

/* A portmap that a reload would add, delete or change. */
static void show_portmap_of(struct writer *w, const char *what, const cJSON *m)
{
	const char *name = json_text(m, "name", "");
	char in[CELL_TEXT], out[CELL_TEXT];

	cell_ports(m, "in_addr", "in_port", in);
	cell_ports(m, "out_addr", "out_port", out);
	writer_line(w, "%s portmap %s%s%s %s to %s", what, name, *name ? ": " : "", json_text(m, "proto", "-"), out,
		    in);
}

static const struct {
	const char *list, *text;
} changes[] = {
	{ "added", "would add" },
	{ "deleted", "would delete" },
	{ "updated", "would change" },
	{ "parted", "would take addresses from" },
};

/* The keys that a reload would change. */
static void show_keys(struct writer *w, const cJSON *keys)
{
	const char *before = "would change: ";
	const cJSON *key;

	cJSON_ArrayForEach (key, keys) {
		const char *text = cJSON_IsString(key) ? key->valuestring : "-";

		fputs(before, w->out);
		text_print(w->out, text, strlen(text));
		before = ", ";
	}
	if (keys && keys->child)
		writer_line(w, "%s", "");
}

static void show_reloaded(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *m;

	if (!cJSON_IsTrue(json_get(result, "dry_run"))) {
		writer_line(w, "reloaded");
		if (json_get(result, "confirm_until"))
			writer_line(w, "it is taken back at %s, unless `detnatctl confirm` is given until then%s",
				    json_text(result, "confirm_until", "-"),
				    cJSON_IsTrue(json_get(result, "peers"))
					    ? "; peers have files of their own, which nothing takes back"
					    : "");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		cJSON_ArrayForEach (m, json_get(result, changes[i].list)) {
			show_reload_of(w, changes[i].text, m);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		cJSON_ArrayForEach (m, json_get(json_get(result, "portmaps"), changes[i].list)) {
			show_portmap_of(w, changes[i].text, m);
		}
	}
	show_keys(w, json_get(result, "keys"));
	writer_line(w, "%s, %.0f sessions would end, %.0f would drain",
		    cJSON_IsTrue(json_get(result, "changed"))
			    ? "the file differs from the running configuration (detnatctl config diff)"
			    : "nothing would change",
		    json_number(result, "sessions_cut"), json_number(result, "sessions_drained"));
}

/* A dry run is shown even if the reload would be refused. */
static int reload_status(const cJSON *result, struct error *err)
{
	const char *refused = cJSON_GetStringValue(json_get(result, "refused"));

	return refused ? error_set(err, EXIT_REFUSED, "%s", refused) : EXIT_DONE;
}

const struct view view_stats = { .show = show_stats };
const struct view view_status = { .show = show_status };
static void show_doctor(struct writer *w, const cJSON *result, const cJSON *args)
{
	double failures = json_number(result, "failures"), warnings = json_number(result, "warnings");
	const cJSON *line;

	cJSON_ArrayForEach (line, json_get(result, "findings")) {
		const struct cell cells[] = { { json_text(line, "level", "-"), 7, false },
					      { json_text(line, "check", "-"), 14, false } };

		writer_row(w, cells, ARRAY_SIZE(cells), "%s", json_text(line, "text", "-"));
	}
	writer_line(w, "%.0f failure%s, %.0f warning%s", failures, failures == 1 ? "" : "s", warnings,
		    warnings == 1 ? "" : "s");
}

static int doctor_status(const cJSON *result, struct error *err)
{
	return json_number(result, "failures") > 0 ? EXIT_REFUSED : EXIT_DONE;
}

const struct view view_doctor = { .show = show_doctor, .status = doctor_status };

static void show_confirmed(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_line(w, cJSON_IsTrue(json_get(args, "back")) ? "taken back; the file still says what was taken back"
							    : "confirmed");
}

const struct view view_confirm = { .show = show_confirmed };
const struct view view_reload = { .show = show_reloaded, .status = reload_status };
