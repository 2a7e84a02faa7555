// SPDX-License-Identifier: BSD-2-Clause
/* What an agent refuses of the configuration that an import wrote: it is taken back, with the agent's words. */
#include <string.h>

#include "import/import_build.h"
#include "import/import_text.h"

/* What of a plan a refused mapping would have had. */
struct refused {
	uint64_t subscribers;
	uint32_t line; /* of the first; 0: none */
};

static struct refused rows_of(const struct import *m, const struct import_part *p)
{
	const struct import_row *end = m->row + m->n_rows;
	struct refused all = {};

	for (size_t i = 0; i < p->in.n; i++)
		for (const struct import_row *r = import_first(m, p->in.range[i].first);
		     r < end && r->in <= p->in.range[i].last; r++)
			all.line = all.subscribers++ ? all.line : r->line;
	return all;
}

static void refuse_part(struct import *m, size_t number, const char *words)
{
	struct import_part *p = &m->part[number];
	struct refused rows = rows_of(m, p);
	char in[IMPORT_RANGE_TEXT], out[IMPORT_RANGE_TEXT];

	import_note(m, IMPORT_REFUSED, rows.line,
		    "%llu subscribers, %s%s at %s%s: not kept, the agent refuses the mapping: %s",
		    (unsigned long long)rows.subscribers, import_range_format(p->in.range[0], in),
		    p->in.n > 1 ? " and others" : "", import_range_format(p->out.range[0], out),
		    p->out.n > 1 ? " and others" : "", words);
	m->n_unfit += rows.subscribers;
	import_ranges_free(&p->in);
	import_ranges_free(&p->out);
	memmove(p, p + 1, (--m->n_parts - number) * sizeof(*p));
}

static void refuse_range(struct import *m, struct import_ranges *list, size_t number, const char *what,
			 const char *words)
{
	char text[IMPORT_RANGE_TEXT];

	import_note(m, IMPORT_REFUSED, 0, "%s of %s: not kept, the agent refuses it: %s", what,
		    import_range_format(list->range[number], text), words);
	memmove(&list->range[number], &list->range[number + 1], (--list->n - number) * sizeof(*list->range));
}

static void refuse_forward(struct import *m, size_t number, const char *words)
{
	struct import_forward *f = &m->forward[number];
	char in[ADDR_TEXT];

	import_note(m, IMPORT_REFUSED, f->line, "the portmap of %s:%u: not kept, the agent refuses it: %s",
		    addr_format(f->in, in), f->in_port, words);
	memmove(f, f + 1, (--m->n_forwards - number) * sizeof(*f));
}

static bool refuse_timeout(struct import *m, const char *name)
{
	bool any = false;

	for (unsigned i = 0; i < N_TIMEOUTS; i++) {
		if (strcmp(timeout_names[i], name) != 0)
			continue;
		any = m->timeouts[i] != 0;
		m->timeouts[i] = 0;
	}
	return any;
}

/* The number in "KEY[NUMBER]…", or SIZE_MAX. */
static size_t element_of(const char *path, const char *key)
{
	size_t n = strlen(key), number;

	return !strncmp(path, key, n) && sscanf(path + n, "[%zu]", &number) == 1 ? number : SIZE_MAX;
}

/* What has no list of ranges: goes back to its default. */
static bool refuse_setting(struct import *m, const char *path)
{
	bool any = false;

	if (!strcmp(path, "sessions_per_user")) {
		any = m->sessions_per_user != 0;
		m->sessions_per_user = 0;
	} else if (import_begins(path, "endpoint_independent")) {
		any = m->eim || m->eif;
		m->eim = m->eif = 0;
	} else if (!strcmp(path, "tcp_mss_clamp")) {
		any = m->mss != 0;
		m->mss = 0;
	} else if (import_begins(path, "ipfix")) {
		any = m->n_collectors != 0;
		m->n_collectors = 0;
	} else if (import_begins(path, "timeouts.")) {
		any = refuse_timeout(m, path + strlen("timeouts."));
	}
	return any;
}

bool import_refuse(struct import *m, const char *path, const char *words)
{
	size_t mapping = element_of(path, "mappings"), bypass = element_of(path, "bypass");
	size_t forward = element_of(path, "portmaps");

	if (mapping < m->n_parts)
		refuse_part(m, mapping, words);
	else if (mapping != SIZE_MAX && mapping - m->n_parts < m->untranslated.n)
		refuse_range(m, &m->untranslated, mapping - m->n_parts, "the exception", words);
	else if (bypass < m->bypass.n)
		refuse_range(m, &m->bypass, bypass, "bypass", words);
	else if (forward < m->n_forwards)
		refuse_forward(m, forward, words);
	else if (refuse_setting(m, path))
		import_note(m, IMPORT_REFUSED, 0, "%s: not kept, the agent refuses it: %s", path, words);
	else
		return false;
	return !m->failed;
}

void import_refuse_interface(struct import *m, const char *name, bool outside)
{
	import_note(
		m, IMPORT_INTERFACE, 0,
		"no interface of Linux can be called %s: left out, add the %s interface of this machine to interfaces",
		name, outside ? "outside" : "inside");
}

struct import import_alone(const struct import *m, size_t part)
{
	struct import one = *m;

	one.part = &m->part[part];
	one.n_parts = 1;
	one.untranslated.n = one.bypass.n = one.inside.n = one.outside.n = 0;
	one.n_collectors = 0;
	one.n_forwards = 0;
	one.mss = 0;
	memset(one.timeouts, 0, sizeof(one.timeouts));
	one.sessions_per_user = 0;
	one.eim = one.eif = 0;
	return one;
}
