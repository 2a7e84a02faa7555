// SPDX-License-Identifier: BSD-2-Clause
/*
 * VPP's det44 and its forerunners, their `show`, and TNSR: a prefix to a prefix. R = inside / outside, P = floor(64512
 * / R), by address from 1024. Of maps that overlap, the first has an address.
 */
#include <string.h>

#include <detnat/mapping.h>

#include "base/text.h"
#include "import/format_vpp.h"
#include "import/import_formats.h"

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

static void take_interfaces(struct import_vpp *v, const struct import_lines *l)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++) {
		if (!strcmp(l->word[i], "inside") || !strcmp(l->word[i], "in"))
			import_names_add(v->m, &v->m->inside, l->word[i + 1]);
		if (!strcmp(l->word[i], "outside") || !strcmp(l->word[i], "out"))
			import_names_add(v->m, &v->m->outside, l->word[i + 1]);
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

static int take_line(struct import_vpp *v, const struct import_lines *l, struct error *err)
{
	bool det = has(l, "det44") || has(l, "deterministic");
	const char *in = after(l, "in"), *out = after(l, "out");

	if (l->n_words == 4 && !strcmp(l->word[0], "in") && !strcmp(l->word[2], "out"))
		return import_vpp_map(v, l->word[1], l->word[3], l->line, err);
	if (det && has(l, "mapping") && after(l, "inside") && after(l, "outside"))
		return import_vpp_map(v, after(l, "inside"), after(l, "outside"), l->line, err);
	if (det && has(l, "add") && in && out && !has(l, "del"))
		return import_vpp_map(v, in, out, l->line, err);
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

static int read_lines(struct import_vpp *v, const struct import_text *text, struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !v->m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (l->n_words)
			r = take_line(v, l, err);
	}
	import_lines_end(l);
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
