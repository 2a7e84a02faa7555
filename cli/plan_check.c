// SPDX-License-Identifier: BSD-2-Clause
/* plan check and plan diff: what a configuration gives its subscribers, and what a change of it does to them. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/virtual6.h"
#include "base/address.h"
#include "base/base.h"
#include "base/json_scan.h"
#include "command.h"
#include "config/config.h"
#include "json_get.h"
#include "planner/plan_file.h"
#include "planner/planner.h"

/* A session of each of so many subscribers needs a port of its own with endpoint-independent mapping. */
#define FEW_PORTS 64U

struct checking {
	const struct plan_file *file;
	cJSON *rows, *warnings;
	uint64_t subscribers, memory;
};

/* Of a part, which is named first. */
static void __attribute__((format(printf, 3, 4)))
warn(struct checking *c, const struct file_part *p, const char *format, ...)
{
	const char *tenant = c->file->tenant[p->tenant];
	char text[512];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s%s%s: ", p->in, *tenant ? " of " : "", tenant);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + n, sizeof(text) - n, format, ap);
	va_end(ap);
	cJSON_AddItemToArray(c->warnings, cJSON_CreateString(text));
}

/* Outside addresses that end in .0 or .255, which some networks drop. */
static uint64_t edge_addresses(const struct file_part *p)
{
	uint64_t n = 0;

	for (uint64_t at = p->out_first; at <= p->out_last; at = (at | 255) + 1)
		n += (at & 255) == 0;
	for (uint64_t at = p->out_first | 255; at <= p->out_last; at += 256)
		n++;
	return n;
}

static void check_growth(struct checking *c, const struct file_part *p, cJSON *json)
{
	uint32_t blocks = growth_blocks(&p->geo, p->growth.block);
	cJSON *growth = cJSON_AddObjectToObject(json, "growth");

	cJSON_AddNumberToObject(growth, "block", p->growth.block);
	cJSON_AddNumberToObject(growth, "max_blocks", p->growth.max_blocks);
	cJSON_AddNumberToObject(growth, "blocks_per_address", blocks);
	if (!blocks)
		warn(c, p, "ports_per_host %u leaves %u ports, which is no block of %u to grow by", p->ports,
		     growth_ports(&p->geo), p->growth.block);
	else if (blocks <= p->growth.max_blocks && p->ratio > 1)
		warn(c, p, "one subscriber may be granted all %u blocks of an outside address", blocks);
}

static void check_part(struct checking *c, const struct file_part *p)
{
	uint64_t subscribers = p->in_last - p->in_first + 1ULL, addresses = p->out_last - p->out_first + 1ULL;
	uint64_t edges = edge_addresses(p);
	const struct planner_row row = { .ports = p->ports, .slots = p->slots, .hosts = p->hosts };
	const struct planner_settings settings = { .bindings = p->bindings };
	uint64_t memory = planner_memory(&settings, &row, subscribers);
	uint32_t last = MAPPING_FIRST_PORT > p->port_lo ? p->port_lo : MAPPING_FIRST_PORT;
	uint32_t left = 65536 - last - p->ratio * p->ports;
	uint64_t room = addresses * p->ratio - subscribers;
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "in", p->in);
	if (p->tenant)
		cJSON_AddStringToObject(json, "tenant", c->file->tenant[p->tenant]);
	cJSON_AddStringToObject(json, "out", p->out);
	cJSON_AddNumberToObject(json, "subscribers", (double)subscribers);
	cJSON_AddNumberToObject(json, "addresses", (double)addresses);
	cJSON_AddNumberToObject(json, "sharing_ratio", p->ratio);
	cJSON_AddNumberToObject(json, "ports_per_host", p->ports);
	cJSON_AddNumberToObject(json, "ports_left", left);
	if (p->hosts)
		cJSON_AddNumberToObject(json, "hosts_per_subscriber", p->hosts);
	cJSON_AddNumberToObject(json, "blocks_free", (double)room);
	cJSON_AddNumberToObject(json, "memory_bytes", (double)memory);
	if (p->growth.block)
		check_growth(c, p, json);
	cJSON_AddItemToArray(c->rows, json);
	c->subscribers += subscribers;
	c->memory += memory;
	if (edges)
		warn(c, p, "%llu outside addresses end in .0 or .255, which old filters elsewhere drop",
		     (unsigned long long)edges);
	if (p->port_lo < 1024)
		warn(c, p, "blocks begin at port %u; some servers refuse clients with a port below 1024", p->port_lo);
	if (p->bindings && p->ports < FEW_PORTS)
		warn(c, p,
		     "%u ports with endpoint-independent mapping: each inside endpoint takes one, so a home runs "
		     "out of them early; use %u or more",
		     p->ports, FEW_PORTS);
	if (p->bindings && p->quota > p->ports)
		warn(c, p, "a quota of %u sessions, but endpoint-independent mapping has %u ports a protocol", p->quota,
		     p->ports);
	if (p->quota > p->slots)
		warn(c, p,
		     "a quota of %u sessions with %u session_slots: those beyond them share the room of "
		     "overflow_sessions with all subscribers",
		     p->quota, p->slots);
	if (room >= p->ratio)
		warn(c, p, "%llu of %llu outside addresses have no subscriber", (unsigned long long)(room / p->ratio),
		     (unsigned long long)addresses);
	if (p->pitch > p->ports)
		warn(c, p, "between two blocks are %u ports that nobody can have", p->pitch - p->ports);
	if (!left && p->ratio > 1)
		warn(c, p, "no port of an address is left for portmaps");
}

static void show_growths(struct writer *w, const cJSON *rows)
{
	const cJSON *row;

	cJSON_ArrayForEach (row, rows) {
		const cJSON *growth = json_get(row, "growth");
		const char *tenant = json_text(row, "tenant", "");

		if (growth)
			writer_line(
				w,
				"%s%s%s: blocks grow by %.0f ports, %.0f times at most; an outside address has %.0f "
				"such blocks",
				json_text(row, "in", ""), *tenant ? " of " : "", tenant, json_number(growth, "block"),
				json_number(growth, "max_blocks"), json_number(growth, "blocks_per_address"));
	}
}

static void show_check(struct writer *w, const struct checking *c)
{
	static const struct column columns[] = {
		{ "INSIDE", "in", cell_text, false, 0 },
		{ "OUTSIDE", "out", cell_text, false, 0 },
		{ "TENANT", "tenant", cell_text, false, WIDTH_IF_ANY },
		{ "SUBSCRIBERS", "subscribers", cell_number, true, 0 },
		{ "ADDRESSES", "addresses", cell_number, true, 0 },
		{ "RATIO", "sharing_ratio", cell_number, true, 0 },
		{ "PORTS", "ports_per_host", cell_number, true, 0 },
		{ "LEFT", "ports_left", cell_number, true, 0 },
		{ "FREE BLOCKS", "blocks_free", cell_number, true, 0 },
		{ "HOSTS", "hosts_per_subscriber", cell_number, true, WIDTH_IF_ANY },
		{ "MEMORY", "memory_bytes", cell_bytes, true, 0 },
		{},
	};
	const cJSON *warning;

	writer_table(w, columns, "no mappings", c->rows);
	show_growths(w, c->rows);
	cJSON_ArrayForEach (warning, c->warnings) {
		writer_line(w, "warning: %s", warning->valuestring);
	}
}

/* Whether a text has a key. */
static bool has_key(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

/* The text of a plan alone, with the interfaces without which the agent takes no file; the caller frees it. */
static char *with_interfaces(const char *text, size_t size, size_t *ret_size)
{
	static const char interfaces[] = "\"interfaces\":{\"inside\":[\"inside\"],\"outside\":[\"outside\"]},";
	const char *begin = memchr(text, '{', size);
	size_t at = begin ? (size_t)(begin - text) + 1 : 0;
	char *whole = malloc(size + sizeof(interfaces));

	if (!whole)
		return NULL;
	memcpy(whole, text, at);
	memcpy(whole + at, interfaces, sizeof(interfaces) - 1);
	memcpy(whole + at + sizeof(interfaces) - 1, text + at, size - at);
	*ret_size = size + sizeof(interfaces) - 1;
	return whole;
}

/* The check of the agent. A plan alone, which names no interfaces, is checked as if it did. */
static int check_text(const char *text, size_t size, const char *name, struct error *err)
{
	_cleanup_config_ struct config *c = NULL;
	_cleanup_json_ cJSON *json = NULL;
	_cleanup_free_ char *whole = NULL;
	struct json_fault fault;

	if (json_read(text, size, &json, &fault) == -ENOMEM)
		return error_set(err, -ENOMEM, "out of memory");
	if (!json || !json->child || has_key(json, "interfaces") || has_key(json, "tenants"))
		return config_parse(text, size, name, &c, err);
	whole = with_interfaces(text, size, &size);
	return whole ? config_parse(whole, size, name, &c, err) : error_set(err, -ENOMEM, "out of memory");
}

static int check_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	struct plan_file file;
	struct checking c = { .file = &file };
	cJSON *json;
	char *text;

	if (plan_file_read(json_text(args, "file", ""), check_text, &file, err))
		return EXIT_REFUSED;
	json = cJSON_CreateObject();
	c.rows = cJSON_AddArrayToObject(json, "mappings");
	c.warnings = cJSON_AddArrayToObject(json, "warnings");
	for (size_t i = 0; i < file.n; i++)
		if (!file.part[i].none)
			check_part(&c, &file.part[i]);
	cJSON_AddNumberToObject(json, "subscribers", (double)c.subscribers);
	cJSON_AddNumberToObject(json, "memory_bytes", (double)c.memory);
	text = w->json ? cJSON_PrintUnformatted(json) : NULL;
	if (text)
		writer_json(w, text, strlen(text));
	else
		show_check(w, &c);
	cJSON_free(text);
	cJSON_Delete(json);
	plan_file_free(&file);
	return EXIT_DONE;
}

struct listing {
	struct writer *w;
	cJSON *json; /* array, or NULL */
};

static const char *block_text(const struct port_block *b, char text[static 48])
{
	char addr[ADDR_TEXT];

	if (!b->port_hi)
		snprintf(text, 48, "none");
	else
		snprintf(text, 48, "%s:%u-%u", addr_format(b->out_addr, addr), b->port_lo, b->port_hi);
	return text;
}

static void list_change(void *arg, const char *tenant, uint32_t in_addr, const struct port_block *before,
			const struct port_block *after)
{
	struct listing *l = arg;
	char addr[INSIDE_TEXT], was[48], is[48];

	inside_text(in_addr, addr);
	block_text(before, was);
	block_text(after, is);
	if (l->json) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, virtual6_is(in_addr) ? "in_prefix" : "in_addr", addr);
		if (*tenant)
			cJSON_AddStringToObject(item, "tenant", tenant);
		cJSON_AddStringToObject(item, "before", was);
		cJSON_AddStringToObject(item, "after", is);
		cJSON_AddItemToArray(l->json, item);
	} else {
		writer_line(l->w, "%s%s%s: %s -> %s", addr, *tenant ? " of " : "", tenant, was, is);
	}
}

static void show_changes(struct writer *w, const struct plan_changes *c, cJSON *list)
{
	cJSON *json;
	char *text;

	if (!w->json) {
		writer_line(
			w,
			"%llu subscribers: %llu keep address and ports, %llu get another address, %llu other ports; "
			"%llu are new, %llu are gone",
			(unsigned long long)c->subscribers, (unsigned long long)c->kept, (unsigned long long)c->moved,
			(unsigned long long)c->shifted, (unsigned long long)c->added, (unsigned long long)c->removed);
		return;
	}
	json = cJSON_CreateObject();
	cJSON_AddNumberToObject(json, "subscribers", (double)c->subscribers);
	cJSON_AddNumberToObject(json, "kept", (double)c->kept);
	cJSON_AddNumberToObject(json, "other_address", (double)c->moved);
	cJSON_AddNumberToObject(json, "other_ports", (double)c->shifted);
	cJSON_AddNumberToObject(json, "added", (double)c->added);
	cJSON_AddNumberToObject(json, "removed", (double)c->removed);
	if (list)
		cJSON_AddItemToObject(json, "changes", list);
	text = cJSON_PrintUnformatted(json);
	if (text)
		writer_json(w, text, strlen(text));
	cJSON_free(text);
	cJSON_Delete(json);
}

/* As diff(1): 1 says that somebody moves, 2 that there is no answer. */
static int diff_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	bool list = cJSON_IsTrue(json_get(args, "v"));
	struct listing l = { .w = w, .json = w->json && list ? cJSON_CreateArray() : NULL };
	struct plan_file before = { 0 }, after = { 0 };
	struct plan_changes c;
	int r = plan_file_read(json_text(args, "old", ""), check_text, &before, err);

	r = r ? r : plan_file_read(json_text(args, "new", ""), check_text, &after, err);
	if (!r && plan_file_compare(&before, &after, list ? list_change : NULL, &l, &c))
		r = error_set(err, -ENOMEM, "out of memory");
	plan_file_free(&before);
	plan_file_free(&after);
	if (r) {
		cJSON_Delete(l.json);
		return EXIT_USAGE;
	}
	show_changes(w, &c, l.json);
	if (c.moved + c.shifted + c.removed)
		return error_set(err, EXIT_REFUSED, "%" PRIu64 " subscribers do not keep address and ports",
				 (uint64_t)(c.moved + c.shifted + c.removed));
	return EXIT_DONE;
}

const struct view view_plan_check = { .run = check_run };
const struct view view_plan_diff = { .run = diff_run };
