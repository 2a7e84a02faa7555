// SPDX-License-Identifier: BSD-2-Clause
#include "import/import.h"

#include <string.h>

#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_rows.h"
#include "import/import_text.h"

static int (*const readers[])(struct import *m, const struct import_text *text, const struct import_options *options,
			      struct error *err) = {
	[IMPORT_TABLE] = import_read_table,	  [IMPORT_VPP] = import_read_vpp,
	[IMPORT_ROUTEROS] = import_read_routeros, [IMPORT_VYOS] = import_read_vyos,
	[IMPORT_JUNOS] = import_read_junos,	  [IMPORT_FORTIOS] = import_read_fortios,
	[IMPORT_NFT] = import_read_nft,		  [IMPORT_IPTABLES] = import_read_iptables,
	[IMPORT_NOKIA] = import_read_nokia,	  [IMPORT_H3C] = import_read_h3c,
};

/* How much a kind of note tells of why there is no plan: the first one of the least number is the reason. */
static unsigned rank(const struct import *m, const struct import_note *n)
{
	static const enum import_note_kind kinds[] = {
		IMPORT_DYNAMIC, IMPORT_UNKNOWN,	  IMPORT_DISABLED,  IMPORT_TWO_BLOCKS,
		IMPORT_VRF,	IMPORT_EXCEPTION, IMPORT_UNREACHED, IMPORT_INBOUND,
	};
	unsigned i = 0;

	if (m->decisive && n->line == m->decisive && n->kind == IMPORT_UNKNOWN)
		return 0;
	while (i < ARRAY_SIZE(kinds) && kinds[i] != n->kind)
		i++;
	return i + 1;
}

/* Nothing was found that says who has which block: the reason, as far as it is known. */
static int refuse_empty(const struct import *m, struct error *err)
{
	const struct import_note *reason = m->n_notes ? m->note : NULL;

	for (size_t i = 1; i < m->n_notes; i++)
		if (rank(m, &m->note[i]) < rank(m, reason))
			reason = &m->note[i];
	if (reason)
		return import_fault(m, reason->line, err, "%.400s", reason->text);
	return import_fault(m, 0, err,
			    "no plan found: nothing in it, read as %s, says which subscriber has which ports",
			    word_text(import_format_words, m->format));
}

/* Rules never say so; a statement about the interface itself may. */
static void note_both(struct import *m)
{
	for (size_t i = 0; i < m->inside.n; i++)
		if (import_names_find(&m->outside, m->inside.name[i]) < m->outside.n)
			import_note(
				m, IMPORT_INTERFACE, 0,
				"%s is inside and outside there, and so it is here: whoever sends from outside with "
				"a subscriber's address opens sessions in his name",
				m->inside.name[i]);
}

static int read_rows(struct import *m, const struct import_text *text, const struct import_options *options,
		     struct error *err)
{
	int r = readers[m->format](m, text, options, err);

	if (!r && m->failed)
		r = error_set(err, -ENOMEM, "%s: %.400s", m->name, m->why.text);
	if (!r && !m->n_rows)
		r = refuse_empty(m, err);
	if (!r)
		note_both(m);
	return r ? r : import_rows_order(m, err);
}

int import_read(enum import_format format, const char *text, size_t size, const char *name,
		const struct import_options *options, struct import **ret, struct error *err)
{
	_cleanup_import_ struct import *m = calloc(1, sizeof(*m));
	struct import_text t;
	int r;

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->name = name;
	r = import_text_check(text, size, name, &t, &m->lines, err);
	if (r)
		return r;
	m->format = format == IMPORT_AUTO ? import_recognise(&t) : format;
	if (m->format == IMPORT_AUTO)
		return import_fault(m, 0, err,
				    "no format is recognised; name one in place of auto: table takes lines of inside "
				    "address, outside address, first and last port");
	r = read_rows(m, &t, options, err);
	if (r)
		return r;
	*ret = take_pointer(m);
	return 0;
}

void import_parts_free(struct import *m)
{
	for (size_t i = 0; i < m->n_parts; i++) {
		import_ranges_free(&m->part[i].in);
		import_ranges_free(&m->part[i].out);
	}
	free(m->part);
	m->part = NULL;
	m->n_parts = 0;
}

void import_free(struct import *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_notes; i++)
		free(m->note[i].text);
	import_parts_free(m);
	free(m->note);
	free(m->row);
	free(m->inside.name);
	free(m->outside.name);
	import_ranges_free(&m->untranslated);
	import_ranges_free(&m->bypass);
	free(m->growth);
	free(m->forward);
	free(m);
}
