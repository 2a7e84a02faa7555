// SPDX-License-Identifier: BSD-2-Clause
/*
 * VPP's det44 and its forerunners, their `show`, and TNSR: a prefix to a prefix. R = inside / outside, P = floor(64512
 * / R), by address from 1024. Of maps that overlap, the first has an address.
 */
#include <string.h>

#include <detnat/mapping.h>

#include "import/import_build.h"
#include "import/import_formats.h"

#define MAPS 4096U

struct map {
	struct import_range in;
	uint32_t line;
};

struct vpp {
	struct import *m;
	struct map *map;
	size_t n;
};

/* The word after another, or NULL. */
static const char *after(const struct import_lines *l, const char *word)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++)
		if (!strcmp(l->word[i], word))
			return l->word[i + 1];
	return NULL;
}

static bool has(const struct import_lines *l, const char *word)
{
	for (unsigned i = 0; i < l->n_words; i++)
		if (!strcmp(l->word[i], word))
			return true;
	return false;
}

static int add_map(struct vpp *v, const char *inside, const char *outside, uint32_t line, struct error *err)
{
	struct import *m = v->m;
	struct prefix in, out;
	uint32_t ratio, ports;
	uint64_t taken = 0;

	if (prefix_parse(inside, &in) || prefix_parse(outside, &out))
		return import_fault(m, line, err, "needs a prefix inside and one outside, not \"%.40s\" and \"%.40s\"",
				    inside, outside);
	if (out.plen < in.plen || out.plen - in.plen > 15)
		return import_fault(m, line, err, "no port is left for each of the addresses of %.40s in %.40s", inside,
				    outside);
	if (prefix_size(in.plen) > IMPORT_MAX_ROWS || v->n >= MAPS)
		return import_fault(m, line, err, "more than %u inside addresses, or %u maps", IMPORT_MAX_ROWS, MAPS);
	ratio = 1U << (out.plen - in.plen);
	ports = MAPPING_PORTS / ratio;
	for (uint64_t i = 0; i < prefix_size(in.plen) && !m->failed; i++) {
		uint32_t addr = in.base + (uint32_t)i, lo = 1024 + ports * (uint32_t)(i % ratio);
		size_t k = 0;

		while (k < v->n && !import_range_has(v->map[k].in, addr))
			k++;
		if (k < v->n)
			taken++;
		else
			import_add(m, addr, out.base + (uint32_t)(i / ratio), lo, lo + ports - 1, IMPORT_ALL, line);
	}
	if (taken)
		import_note(m, taken == prefix_size(in.plen) ? IMPORT_UNREACHED : IMPORT_TAKEN, line,
			    "%llu addresses of %.40s are in an earlier map, which has them", (unsigned long long)taken,
			    inside);
	v->map[v->n++] = (struct map){ { in.base, in.base | ~prefix_mask(in.plen) }, line };
	return 0;
}

static void take_interfaces(struct vpp *v, const struct import_lines *l)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++) {
		if (!strcmp(l->word[i], "inside") || !strcmp(l->word[i], "in"))
			import_names_add(v->m, &v->m->inside, l->word[i + 1]);
		if (!strcmp(l->word[i], "outside") || !strcmp(l->word[i], "out"))
			import_names_add(v->m, &v->m->outside, l->word[i + 1]);
	}
}

static void take_timeouts(struct vpp *v, const struct import_lines *l)
{
	static const struct {
		const char *word;
		enum timeout timeout;
	} words[] = { { "udp", TIMEOUT_UDP },
		      { "established", TIMEOUT_TCP_ESTABLISHED },
		      { "tcp-established", TIMEOUT_TCP_ESTABLISHED },
		      { "transitory", TIMEOUT_TCP_TRANSITORY },
		      { "tcp-transitory", TIMEOUT_TCP_TRANSITORY },
		      { "icmp", TIMEOUT_ICMP } };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		const char *value = after(l, words[i].word);
		uint32_t seconds;

		if (value && !import_number(value, 604800, &seconds) && seconds)
			v->m->timeouts[words[i].timeout] = seconds;
	}
}

static void take_collector(struct vpp *v, const struct import_lines *l)
{
	const char *addr = after(l, "collector"), *port = after(l, "port");
	struct collector_endpoint c;
	char text[64];

	snprintf(text, sizeof(text), "%.30s:%.10s", addr, port ? port : "4739");
	if (collector_parse(text, &c) || v->m->n_collectors == MAX_COLLECTORS)
		import_note(v->m, IMPORT_UNKNOWN, l->line, "collector %.40s: not taken", text);
	else
		v->m->collectors[v->m->n_collectors++] = c;
}

static void take_vrf(struct vpp *v, const struct import_lines *l)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++)
		if (!strcmp(l->word[i], "vrf") && strcmp(l->word[i + 1], "0") != 0) {
			import_note(v->m, IMPORT_VRF, l->line, "VRF %.16s: not kept, interfaces are in one",
				    l->word[i + 1]);
			return;
		}
}

static int take_line(struct vpp *v, const struct import_lines *l, struct error *err)
{
	bool det = has(l, "det44") || has(l, "deterministic");
	const char *in = after(l, "in"), *out = after(l, "out");

	if (l->n_words == 4 && !strcmp(l->word[0], "in") && !strcmp(l->word[2], "out"))
		return add_map(v, l->word[1], l->word[3], l->line, err);
	if (det && has(l, "mapping") && after(l, "inside") && after(l, "outside"))
		return add_map(v, after(l, "inside"), after(l, "outside"), l->line, err);
	if (det && has(l, "add") && in && out && !has(l, "del"))
		return add_map(v, in, out, l->line, err);
	if (det && has(l, "del")) {
		import_note(v->m, IMPORT_UNKNOWN, l->line, "a deletion: not taken; remove the map that it deletes");
	} else if (has(l, "interface") && (det || has(l, "snat") || has(l, "nat44"))) {
		take_interfaces(v, l);
	} else if (has(l, "timeouts") || (det && has(l, "timeout"))) {
		take_timeouts(v, l);
	} else if (has(l, "ipfix") && after(l, "collector")) {
		take_collector(v, l);
	} else if (has(l, "ipfix") && after(l, "domain")) {
		uint32_t domain;

		if (!import_number(after(l, "domain"), UINT32_MAX, &domain))
			v->m->domain_id = domain;
	} else if (det && has(l, "vrf")) {
		take_vrf(v, l);
	} else if (l->n_words >= 4 && det && (in || out)) {
		return import_fault(v->m, l->line, err, "is no det44 add in PREFIX out PREFIX");
	}
	return 0;
}

int import_read_vpp(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	_cleanup_free_ struct map *maps = malloc(MAPS * sizeof(*maps));
	struct vpp v = { .m = m, .map = maps };
	int r = 0;

	if (!l || !maps || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (l->n_words)
			r = take_line(&v, l, err);
	}
	import_lines_end(l);
	if (m->n_rows)
		m->sessions_per_user = 1000;
	return r;
}
