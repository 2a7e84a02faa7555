// SPDX-License-Identifier: BSD-2-Clause
/*
 * FortiGate: IP pools of the type fixed-port-range. With N inside and A outside addresses, both ends of both ranges
 * counted: R = ceil(N / A), P = floor(ports / R), by address from startport.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"

/* The manufacturer's figure; the range 5117 to 65533 would have one more. */
#define START_PORT 5117U
#define END_PORT   65533U
#define ALL_PORTS  60416U

struct pool {
	char name[64];
	uint32_t line;
	bool fixed;
	bool guess; /* has a key whose arithmetic is not documented */
	uint32_t guess_line;
	char guess_key[32];
	char type[40];
	char interface[64];
	bool has[4];
	uint32_t addr[4]; /* startip, endip, source-startip, source-endip */
	uint32_t start_port;
	uint32_t end_port;
};

static const char *const addresses[] = { "startip", "endip", "source-startip", "source-endip" };

static int take_key(struct import *m, struct pool *p, const struct import_lines *l, struct error *err)
{
	const char *key = l->n_words > 1 ? l->word[1] : "", *value = l->n_words > 2 ? l->word[2] : "";

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(key, addresses[i]) != 0)
			continue;
		p->has[i] = true;
		if (addr_parse(value, &p->addr[i]))
			return import_fault(m, l->line, err, "%s must be an address, not %s", key, QUOTED(value));
	}
	if (!strcmp(key, "type")) {
		p->fixed = !strcmp(value, "fixed-port-range");
		snprintf(p->type, sizeof(p->type), "%s", value);
	}
	if ((!strcmp(key, "startport") && import_number(value, 65535, &p->start_port)) ||
	    (!strcmp(key, "endport") && import_number(value, 65535, &p->end_port)))
		return import_fault(m, l->line, err, "%s must be a port, not %s", key, QUOTED(value));
	if ((!strcmp(key, "port-per-user") && strcmp(value, "0") != 0) || !strcmp(key, "exclude-ip") ||
	    import_begins(key, "cgn-")) {
		p->guess = true;
		p->guess_line = l->line;
		snprintf(p->guess_key, sizeof(p->guess_key), "%s", key);
	}
	if (!strcmp(key, "associated-interface"))
		snprintf(p->interface, sizeof(p->interface), "%.63s", value);
	return 0;
}

static int expand(struct import *m, const struct pool *p, struct error *err)
{
	struct import_range in = { p->addr[2], p->addr[3] }, out = { p->addr[0], p->addr[1] };
	uint64_t inside, outside;
	uint32_t ratio, ports, all = p->end_port - p->start_port + 1;
	char from[IMPORT_RANGE_TEXT], to[IMPORT_RANGE_TEXT];

	if (!p->has[0] || !p->has[1] || !p->has[2] || !p->has[3]) {
		import_note(
			m, IMPORT_UNKNOWN, p->line,
			"pool %s lacks startip, endip, source-startip or source-endip: not kept; is the file whole?",
			QUOTED(p->name));
		return 0;
	}
	if (in.last < in.first || out.last < out.first || p->end_port < p->start_port)
		return import_fault(m, p->line, err, "pool %s ends before it begins", QUOTED(p->name));
	inside = import_range_size(in);
	outside = import_range_size(out);
	if (inside > IMPORT_MAX_ROWS)
		return import_fault(m, p->line, err, "pool %s has more than %u inside addresses", QUOTED(p->name),
				    IMPORT_MAX_ROWS);
	ratio = (uint32_t)((inside + outside - 1) / outside);
	if (p->start_port == START_PORT && p->end_port == END_PORT)
		all = ALL_PORTS;
	if (!(all / ratio))
		return import_fault(m, p->line, err, "pool %s has no port for each of %u subscribers an address",
				    QUOTED(p->name), ratio);
	ports = all / ratio;
	if ((all + 1) / ratio != ports)
		import_note(m, IMPORT_ASSUMED, p->line,
			    "pool %s: %u ports each are taken from a range of %u; compare diagnose firewall "
			    "ippool-fixed-range list",
			    p->name, ports, all);
	import_note(m, IMPORT_TAKEN, p->line, "pool %s: %s to %s, %u an address, %u ports each", QUOTED(p->name),
		    import_range_format(in, from), import_range_format(out, to), ratio, ports);
	import_by_address(m, &(struct import_formula){ .in = &(struct import_ranges){ &in, 1, 0 },
						       .out = &(struct import_ranges){ &out, 1, 0 },
						       .ratio = ratio,
						       .first_port = p->start_port,
						       .ports = ports,
						       .pitch = ports,
						       .protos = IMPORT_ALL,
						       .line = p->line });
	return 0;
}

static int end_pool(struct import *m, const struct pool *p, struct error *err)
{
	if (!p->fixed) {
		import_note(m, IMPORT_DYNAMIC, p->line, "pool %s is of type %s, which is not deterministic: not kept",
			    QUOTED(p->name), *p->type ? QUOTED(p->type) : "overload");
		return 0;
	}
	if (p->guess) {
		import_note(m, IMPORT_DYNAMIC, p->guess_line,
			    "pool %s: how %s changes the blocks is not documented: not kept; import the output of "
			    "diagnose firewall ippool-fixed-range list as table",
			    p->name, p->guess_key);
		return 0;
	}
	import_names_add(m, &m->outside, p->interface);
	return expand(m, p, err);
}

int import_read_fortios(struct import *m, const struct import_text *text, const struct import_options *options,
			struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct pool p = {};
	bool in_pools = false, in_pool = false;
	unsigned deeper = 0;
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (!l->n_words)
			continue;
		if (!in_pools) {
			in_pools = l->n_words == 3 && !strcmp(l->word[0], "config") &&
				   !strcmp(l->word[1], "firewall") && !strcmp(l->word[2], "ippool");
		} else if (!strcmp(l->word[0], "config")) {
			deeper++;
		} else if (deeper) {
			deeper -= !strcmp(l->word[0], "end");
		} else if (!strcmp(l->word[0], "edit") && l->n_words > 1 && !in_pool) {
			p = (struct pool){ .line = l->line, .start_port = START_PORT, .end_port = END_PORT };
			snprintf(p.name, sizeof(p.name), "%s", l->word[1]);
			in_pool = true;
		} else if (!strcmp(l->word[0], "set") && in_pool) {
			r = take_key(m, &p, l, err);
		} else if ((!strcmp(l->word[0], "next") || !strcmp(l->word[0], "end")) && in_pool) {
			r = end_pool(m, &p, err);
			in_pool = false;
			in_pools = strcmp(l->word[0], "end") != 0;
		} else if (!strcmp(l->word[0], "end")) {
			in_pools = false;
		}
	}
	if (!r && (in_pools || in_pool))
		r = import_fault(m, in_pool ? p.line : 0, err,
				 "ends within config firewall ippool; is the file whole?");
	import_lines_end(l);
	return r;
}
