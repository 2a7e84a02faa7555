// SPDX-License-Identifier: BSD-2-Clause
/*
 * VPP's det44 and its forerunners, their `show`, and TNSR: a prefix to a prefix. R = inside / outside, P = floor(64512
 * / R), by address from 1024. Of maps that overlap, the first in the router's pool has an address. The lines are
 * commands in their order: what is deleted is gone, and the next map takes the place that was given up last.
 */
#include <string.h>

#include <detnat/mapping.h>

#include "base/text.h"
#include "import/format_vpp.h"
#include "import/import_formats.h"
#include "import/import_forward.h"

struct place {
	char in[64], out[64];
	uint32_t line; /* 0: free */
};

struct commands {
	struct import_vpp *v;
	struct place *place; /* room for IMPORT_VPP_MAPS */
	uint32_t n;
	uint32_t *free; /* places that were given up, the last one last */
	uint32_t n_free;
};

static bool same_prefix(const char *a, const char *b)
{
	struct prefix x, y;

	if (prefix_parse(a, &x) || prefix_parse(b, &y))
		return !strcmp(a, b);
	return x.base == y.base && x.plen == y.plen;
}

static struct place *place_of(struct commands *c, const char *in, const char *out)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->place[i].line && same_prefix(c->place[i].in, in) && same_prefix(c->place[i].out, out))
			return &c->place[i];
	return NULL;
}

static int add_map(struct commands *c, const char *in, const char *out, uint32_t line, struct error *err)
{
	const struct place *same = place_of(c, in, out);
	struct place *p;

	if (same) {
		import_note(c->v->m, IMPORT_REPEATED, line, "the map of line %u again: taken once", same->line);
		return 0;
	}
	if (!c->n_free && c->n == IMPORT_VPP_MAPS)
		return import_fault(c->v->m, line, err, "more than %u inside addresses, or %u maps", IMPORT_MAX_ROWS,
				    IMPORT_VPP_MAPS);
	p = &c->place[c->n_free ? c->free[--c->n_free] : c->n++];
	p->line = line;
	snprintf(p->in, sizeof(p->in), "%s", in);
	snprintf(p->out, sizeof(p->out), "%s", out);
	return 0;
}

static void delete_map(struct commands *c, const char *in, const char *out, uint32_t line)
{
	struct place *p = place_of(c, in, out);

	if (!p) {
		import_note(c->v->m, IMPORT_UNKNOWN, line, "deletes a map that no line above adds");
		return;
	}
	import_note(c->v->m, IMPORT_DISABLED, p->line, "the map of %s is deleted in line %u: not taken", QUOTED(p->in),
		    line);
	p->line = 0;
	c->free[c->n_free++] = (uint32_t)(p - c->place);
}

/* The plugin is turned off: nothing is left. */
static void clear(struct commands *c)
{
	struct import *m = c->v->m;

	c->n = c->n_free = 0;
	m->inside.n = m->outside.n = 0;
	memset(m->timeouts, 0, sizeof(m->timeouts));
}

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

static void take_name(struct import *m, struct import_names *list, const char *name, bool gone)
{
	size_t at = import_names_find(list, name);

	if (!gone)
		import_names_add(m, list, name);
	else if (at < list->n)
		memmove(&list->name[at], &list->name[at + 1], (--list->n - at) * sizeof(*list->name));
}

static void take_interfaces(struct import_vpp *v, const struct import_lines *l)
{
	bool gone = has(l, "del");

	for (unsigned i = 0; i + 1 < l->n_words; i++) {
		if (!strcmp(l->word[i], "inside") || !strcmp(l->word[i], "in"))
			take_name(v->m, &v->m->inside, l->word[i + 1], gone);
		if (!strcmp(l->word[i], "outside") || !strcmp(l->word[i], "out"))
			take_name(v->m, &v->m->outside, l->word[i + 1], gone);
	}
}

static void take_timeouts(struct import_vpp *v, const struct import_lines *l)
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

	if (has(l, "reset"))
		memset(v->m->timeouts, 0, sizeof(v->m->timeouts));
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		const char *value = after(l, words[i].word);
		uint32_t seconds;

		if (value && !import_number(value, 604800, &seconds) && seconds)
			v->m->timeouts[words[i].timeout] = seconds;
	}
}

static void take_collector(struct import_vpp *v, const struct import_lines *l)
{
	const char *addr = after(l, "collector"), *port = after(l, "port");
	struct collector_endpoint c;
	char text[64];

	snprintf(text, sizeof(text), "%.30s:%.10s", addr, port ? port : "4739");
	if (collector_parse(text, &c) || v->m->n_collectors == MAX_COLLECTORS)
		import_note(v->m, IMPORT_UNKNOWN, l->line, "collector %s: not taken", QUOTED(text));
	else
		v->m->collectors[v->m->n_collectors++] = c;
}

static void take_vrf(struct import_vpp *v, const struct import_lines *l)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++)
		if (!strcmp(l->word[i], "vrf") && strcmp(l->word[i + 1], "0") != 0) {
			import_note(v->m, IMPORT_VRF, l->line, "VRF %s: not kept, interfaces are in one",
				    QUOTED(l->word[i + 1]));
			return;
		}
}

/* Lines of maps; false: it is none. */
static bool take_map(struct commands *c, const struct import_lines *l, bool det, int *ret, struct error *err)
{
	const char *in = after(l, "in"), *out = after(l, "out");
	bool tnsr = det && has(l, "mapping") && after(l, "inside") && after(l, "outside");
	bool shown = l->n_words == 4 && !strcmp(l->word[0], "in") && !strcmp(l->word[2], "out");

	*ret = 0;
	if (tnsr) {
		in = after(l, "inside");
		out = after(l, "outside");
	} else if (!shown && (!det || !in || !out || (!has(l, "add") && !has(l, "del")) || has(l, "interface"))) {
		return false;
	}
	if (has(l, "del") || (tnsr && has(l, "no")))
		delete_map(c, in, out, l->line);
	else
		*ret = add_map(c, in, out, l->line, err);
	return true;
}

static int take_line(struct commands *c, const struct import_lines *l, struct error *err)
{
	bool det = has(l, "det44") || has(l, "deterministic");
	struct import_vpp *v = c->v;
	int r;

	if (take_map(c, l, det, &r, err))
		return r;
	if (det && has(l, "plugin") && has(l, "disable")) {
		clear(c);
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
	} else if (has(l, "tcp-mss-clamp") && after(l, "ip4-mss")) {
		import_mss_take(v->m, after(l, "ip4-mss"), l->line);
	} else if (det && has(l, "vrf")) {
		take_vrf(v, l);
	} else if (l->n_words >= 4 && det && (after(l, "in") || after(l, "out"))) {
		return import_fault(v->m, l->line, err, "is no det44 add in PREFIX out PREFIX");
	}
	return 0;
}

static int read_lines(struct import_vpp *v, const struct import_text *text, struct error *err)
{
	_cleanup_free_ struct place *places = calloc(IMPORT_VPP_MAPS, sizeof(*places));
	_cleanup_free_ uint32_t *gaps = calloc(IMPORT_VPP_MAPS, sizeof(*gaps));
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct commands c = { .v = v, .place = places, .free = gaps };
	int r = 0;

	if (!places || !gaps || !l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !v->m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (l->n_words)
			r = take_line(&c, l, err);
	}
	import_lines_end(l);
	for (uint32_t i = 0; i < c.n && !r && !v->m->failed; i++)
		if (places[i].line)
			r = import_vpp_map(v, places[i].in, places[i].out, places[i].line, err);
	return r;
}

int import_read_vpp(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err)
{
	_cleanup_free_ struct import_vpp_map *maps = malloc(IMPORT_VPP_MAPS * sizeof(*maps));
	struct import_vpp v = { .m = m, .map = maps };
	int r;

	if (!maps)
		return error_set(err, -ENOMEM, "out of memory");
	/* VyOS on VPP has the same maps in a configuration of its own. */
	r = memmem(text->text, text->size, "inside-prefix", strlen("inside-prefix"))
		    ? import_vpp_read_vyos(&v, text, err)
		    : read_lines(&v, text, err);
	import_ranges_free(&v.excluded);
	if (m->n_rows)
		m->sessions_per_user = 1000;
	return r;
}
