// SPDX-License-Identifier: BSD-2-Clause
#include "customer_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <detnat/mapping.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "customer.h"
#include "evidence_guard.h"
#include "history_files.h"
#include "json_get.h"
#include "leases/lease_erase.h"
#include "leases/lease_files.h"
#include "looks.h"
#include "plan/blocks.h"
#include "who_view.h"

/* An address that the customer had at some time. */
struct had {
	struct lease_addr addr;
	char tenant[LEASE_TENANT];
};

struct listing {
	const char *customer;
	const char *tenant; /* NULL: of any */
	char mac[MAC_TEXT];
	int64_t from, to;
	struct had *had;
	size_t n, room;
	struct hash_index had_by; /* address and tenant */
	const struct history_index *history;
	const struct had *at;
	uint32_t *inside; /* what mappings call it: an IPv6 prefix may have been in ranges of several */
	size_t n_inside, inside_room;
	const char *by;
	int64_t *cut; /* seconds in which the mapping of an address may change */
	size_t n_cuts, cut_room;
	struct writer *w;
	uint64_t rows;
};

static int note_address(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct listing *x = arg;
	struct had had = { 0 };
	struct lease_line l;
	uint64_t hash;
	uint32_t i;

	(void)name;
	(void)number;
	if (chain_erased(line, size) || lease_line_read(line, size, &l, NULL) || !l.addr.plen ||
	    !lease_named_by(&l, x->customer, x->mac) || (x->tenant && strcmp(l.tenant, x->tenant) != 0))
		return 0;
	had.addr = l.addr;
	snprintf(had.tenant, sizeof(had.tenant), "%s", l.tenant);
	hash = hash_octets(&had, sizeof(had));
	for (uint32_t step = 0; hash_index_next(&x->had_by, hash, &step, &i);)
		if (!memcmp(&x->had[i], &had, sizeof(had)))
			return 0;
	if (array_grow(&x->had, x->n, &x->room, sizeof(*x->had)) || hash_index_add(&x->had_by, hash, (uint32_t)x->n))
		return -ENOMEM;
	x->had[x->n++] = had;
	return 0;
}

static int find_addresses(struct listing *x, const char *dir, struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ledger_names names = { 0 };
	int r = ledger_files_list(dir, LEDGER_LEASES, &names, err);
	size_t torn;

	for (size_t i = 0; i < names.n && !r; i++) {
		r = chain_read(fd, names.name[i], note_address, x, &torn);
		if (r)
			error_set(err, r, "%s cannot be read: %s", names.name[i], strerror(-r));
	}
	free(names.name);
	return r;
}

/* ---- Rows */

/* Of the names of the address, the one that is in a prefix. */
static const uint32_t *inside_of(const struct listing *x, struct prefix in)
{
	for (size_t i = 0; i < x->n_inside; i++)
		if (prefix_within((struct prefix){ .base = x->inside[i], .plen = 32 }, in))
			return &x->inside[i];
	return NULL;
}

static bool is_inside(const struct listing *x, uint32_t in_addr)
{
	return inside_of(x, (struct prefix){ .base = in_addr, .plen = 32 });
}

static bool has_address(const struct listing *x, const struct history_interval *v)
{
	return !v->undone && inside_of(x, v->mapping.in) &&
	       (!*x->at->tenant || !*v->mapping.tenant || !strcmp(x->at->tenant, v->mapping.tenant));
}

/* The mapping of the address between two times without a change; a smaller prefix decides. NULL: there is none. */
static const struct history_interval *mapping_of(const struct listing *x, int64_t from, int64_t to)
{
	const struct history_interval *found = NULL;

	for (size_t i = 0; i < x->history->mappings.n; i++) {
		const struct history_interval *v = &x->history->mappings.interval[i];

		if (!has_address(x, v) || v->mapping.from > from || (v->to != TIME_OPEN && v->to < to))
			continue;
		if (!found || prefix_count(v->mapping.in) <= prefix_count(found->mapping.in))
			found = v;
	}
	return found;
}

/* The ports that an inside address had. */
struct ports_had {
	bool any;
	struct port_block block;
	bool granted;				/* a block that was granted */
	const struct portmap_interval *portmap; /* that led to it; NULL: none did */
};

static struct ports_had block_of(const struct listing *x, const struct history_interval *v)
{
	struct ports_had had = { .any = v != NULL, .block.port_hi = UINT16_MAX };
	const uint32_t *in_addr = v ? inside_of(x, v->mapping.in) : NULL;
	struct geometry g;

	if (v && v->mapping.open)
		had.block.out_addr = v->mapping.out.base + (*in_addr - v->mapping.in.base);
	else if (v && !plan_blocks_geometry(v->mapping.in, v->mapping.out, &v->mapping.blocks, &g))
		had.block = mapping_forward(&g, *in_addr);
	else
		had.any = false;
	return had;
}

static void print_ports(FILE *out, const struct ports_had *had)
{
	char text[ADDR_TEXT];

	if (had->any)
		fprintf(out, ",\"out_addr\":\"%s\",\"port_lo\":%u,\"port_hi\":%u",
			addr_format(had->block.out_addr, text), had->block.port_lo, had->block.port_hi);
	else
		fputs(",\"out_addr\":null,\"port_lo\":null,\"port_hi\":null", out);
	if (had->granted)
		fputs(",\"granted\":true", out);
	if (had->portmap)
		who_print_portmap(out, "portmap", had->portmap);
}

static void show_text(struct writer *w, const char *json)
{
	_cleanup_json_ cJSON *row = cJSON_Parse(json);
	const char *out = json_text(row, "out_addr", NULL);
	const cJSON *portmap = json_get(row, "portmap");
	char block[128] = "no mapping";

	if (out)
		snprintf(block, sizeof(block), "%s ports %.0f to %.0f%s%s%s", out, json_number(row, "port_lo"),
			 json_number(row, "port_hi"), json_get(row, "granted") ? ", granted" : "",
			 portmap ? ", portmap of " : "", portmap ? json_text(portmap, "proto", "") : "");
	writer_line(w, "%s to %s: %s, %s, by %s%s%s", json_text(row, "from", "an unknown time"),
		    json_text(row, "to", "now, as far as is known"), json_inside(row, ""), block,
		    json_text(row, "by", ""), *json_text(row, "tenant", "") ? ", tenant " : "",
		    json_text(row, "tenant", ""));
}

static int print_row(struct listing *x, const struct ports_had *had, int64_t from, int64_t to)
{
	_cleanup_free_ char *json = NULL;
	char addr[LEASE_ADDR_TEXT];
	size_t size;
	FILE *out = open_memstream(&json, &size);

	if (!out)
		return -ENOMEM;
	fputs("{\"customer\":", out);
	text_json_string(out, x->customer);
	fprintf(out, ",\"by\":\"%s\",\"gateway\":", x->by);
	if (*x->history->gateway)
		fprintf(out, "\"%s\"", x->history->gateway);
	else
		fputs("null", out);
	fprintf(out, ",\"%s\":\"%s\"", x->at->addr.plen < 128 ? "in_prefix" : "in_addr",
		lease_addr_format(&x->at->addr, addr));
	if (*x->at->tenant)
		fprintf(out, ",\"tenant\":\"%s\"", x->at->tenant);
	print_ports(out, had);
	customer_print_time(out, "from", from);
	customer_print_time(out, "to", to);
	fputc('}', out);
	if (fclose(out))
		return -ENOMEM;
	if (x->w->json)
		writer_stream_row(x->w, NULL, json, NULL);
	else
		show_text(x->w, json);
	x->rows++;
	return 0;
}

static int add_cut(struct listing *x, int64_t t)
{
	if (array_grow(&x->cut, x->n_cuts, &x->cut_room, sizeof(*x->cut)))
		return -ENOMEM;
	x->cut[x->n_cuts++] = t;
	return 0;
}

static int by_number(const void *pa, const void *pb)
{
	const int64_t *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

static int find_cuts(struct listing *x, int64_t from, int64_t to)
{
	int r = add_cut(x, from);

	for (size_t i = 0; i < x->history->mappings.n && !r; i++) {
		const struct history_interval *v = &x->history->mappings.interval[i];

		if (!has_address(x, v))
			continue;
		if (v->mapping.from > from && v->mapping.from < to)
			r = add_cut(x, v->mapping.from);
		if (!r && v->to != TIME_OPEN && v->to > from && v->to < to)
			r = add_cut(x, v->to);
	}
	r = r ? r : add_cut(x, to);
	if (!r)
		qsort(x->cut, x->n_cuts, sizeof(*x->cut), by_number);
	return r;
}

/* A row for what the address had for a time, if that was meanwhile. */
static int print_part(struct listing *x, const struct ports_had *had, int64_t begin, int64_t end, int64_t from,
		      int64_t to)
{
	from = begin > from ? begin : from;
	to = end != TIME_OPEN && end < to ? end : to;
	return from < to ? print_row(x, had, from, to) : 0;
}

/* Whether a mapping that the address had has an outside address. */
static bool has_outside(const struct listing *x, uint32_t out_addr)
{
	const struct prefix out = { .base = out_addr, .plen = 32 };

	for (size_t i = 0; i < x->history->mappings.n; i++)
		if (has_address(x, &x->history->mappings.interval[i]) &&
		    prefix_within(out, x->history->mappings.interval[i].mapping.out))
			return true;
	return false;
}

/* A row for each block that was granted to the address meanwhile. */
static int print_grants(struct listing *x, int64_t from, int64_t to)
{
	int r = 0;

	for (size_t i = 0; i < x->history->grants.n && !r; i++) {
		const struct grant_interval *v = &x->history->grants.interval[i];
		const struct history_grant *g = &v->grant;
		const struct ports_had had = {
			.any = true,
			.block = { g->out, g->port_lo, (uint16_t)(g->port_lo + g->ports - 1) },
			.granted = true,
		};

		if (!v->undone && !history_grant_unknown(g) && is_inside(x, g->in) && has_outside(x, g->out))
			r = print_part(x, &had, g->from, v->to, from, to);
	}
	return r;
}

/* A row for each portmap that led to the address meanwhile. */
static int print_portmaps(struct listing *x, int64_t from, int64_t to)
{
	int r = 0;

	for (size_t i = 0; i < x->history->portmaps.n && !r; i++) {
		const struct portmap_interval *v = &x->history->portmaps.interval[i];
		const struct history_portmap *p = &v->portmap;
		const struct ports_had had = { .any = true,
					       .block = { p->out.addr, p->out.first, p->out.last },
					       .portmap = v };

		if (!v->undone && is_inside(x, p->in.addr) &&
		    (!*x->at->tenant || !*p->tenant || !strcmp(x->at->tenant, p->tenant)))
			r = print_part(x, &had, p->from, v->to, from, to);
	}
	return r;
}

/* A row for each mapping that the address had meanwhile, and for the ports that it had besides. */
static int print_rows(struct listing *x, int64_t from, int64_t to)
{
	int r;

	x->n_cuts = 0;
	r = find_cuts(x, from, to);
	for (size_t i = 0, end; i + 1 < x->n_cuts && !r; i = end) {
		const struct history_interval *v = mapping_of(x, x->cut[i], x->cut[i + 1]);

		for (end = i + 1; end + 1 < x->n_cuts && mapping_of(x, x->cut[end], x->cut[end + 1]) == v;)
			end++;
		const struct ports_had had = block_of(x, v);

		r = x->cut[i] < x->cut[end] || x->n_cuts == 2 ? print_row(x, &had, x->cut[i], x->cut[end]) : 0;
	}
	r = r ? r : print_grants(x, from, to);
	return r ? r : print_portmaps(x, from, to);
}

static int take_holder(void *arg, const struct lease_holder *h)
{
	struct listing *x = arg;
	int64_t from = h->from > x->from ? h->from : x->from, to = h->to < x->to ? h->to : x->to;
	struct lease_line l;

	lease_line_init(&l, 0, LEASE_START);
	snprintf(l.id, sizeof(l.id), "%s", h->id);
	snprintf(l.mac, sizeof(l.mac), "%s", h->mac);
	snprintf(l.circuit, sizeof(l.circuit), "%s", h->circuit);
	x->by = lease_named_by(&l, x->customer, x->mac);
	if (!x->by || from > to || strcmp(h->tenant, x->at->tenant) != 0)
		return 0;
	return print_rows(x, from, to);
}

static int find_inside(struct listing *x)
{
	uint32_t addr;

	x->n_inside = 0;
	for (size_t at = 0; lease_addr_inside(&x->at->addr, &at, &addr);) {
		if (array_grow(&x->inside, x->n_inside, &x->inside_room, sizeof(*x->inside)))
			return -ENOMEM;
		x->inside[x->n_inside++] = addr;
	}
	return 0;
}

static int list_addresses(struct listing *x, const char *dir, struct error *err)
{
	struct lease_days *d;
	int r = lease_days_open(dir, &d, err);

	if (r)
		return r;
	for (size_t i = 0; i < x->n && !r; i++) {
		struct statements *s = NULL;

		x->at = &x->had[i];
		r = find_inside(x);
		r = r ? r
		      : lease_days_about(d, &x->at->addr, *x->at->tenant ? x->at->tenant : NULL,
					 x->from == TIME_NONE ? 0 : x->from, x->to == TIME_OPEN ? TIME_MAX : x->to, &s,
					 err);
		r = r ? r : statements_each(s, take_holder, x);
		statements_free(s);
	}
	lease_days_free(d);
	return r;
}

static int list(struct listing *x, const char *dir, struct error *err)
{
	int r = find_addresses(x, dir, err);

	if (x->w->json && !r)
		writer_stream_begin(x->w, NULL);
	r = r ? r : list_addresses(x, dir, err);
	if (x->w->json && !r)
		writer_stream_end(x->w, "");
	if (r)
		return EXIT_REFUSED;
	if (x->rows)
		return EXIT_DONE;
	return error_set(err, EXIT_REFUSED, "no line of leases in %.200s has the id, the circuit or the MAC %.100s%s",
			 dir, QUOTED(x->customer), x->n ? " at that time" : "");
}

int customer_list(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	struct listing x = { .customer = json_text(args, "customer", ""),
			     .tenant = json_text(args, "tenant", NULL),
			     .from = TIME_NONE,
			     .to = TIME_OPEN,
			     .w = w };
	const char *from = json_text(args, "from", NULL), *to = json_text(args, "to", NULL);
	_cleanup_free_ char *own = NULL;
	_cleanup_looks_ struct looks looks = { 0 };
	struct history_files f;
	char at[PATH_MAX];
	int status;

	if ((from && time_parse(from, &x.from)) || (to && time_parse(to, &x.to)) || x.from > x.to)
		return error_set(err, EXIT_USAGE, "customer: --from TIME comes before --to TIME");
	if (cJSON_HasObjectItem(args, "dry_run"))
		return error_set(err, EXIT_USAGE, "customer: --dry-run belongs to --erase");
	status = history_read_named(socket, args, true, &f, &own, err);
	if (status)
		return status;
	mac_text(x.customer, x.mac);
	x.history = &f.index;
	status = evidence_answers(own, &f, NULL, 0, args, err);
	looks_begin(&looks, "customer", args, &f, own);
	looks_add_text(&looks, x.customer);
	status = status ? status : looks_write(&looks, err);
	status = status ? status : list(&x, json_text(args, "leases", lease_directory(own, at)), err);
	history_files_free(&f);
	free(x.had);
	free(x.inside);
	hash_index_free(&x.had_by);
	free(x.cut);
	return status;
}
