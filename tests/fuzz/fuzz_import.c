// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configurations and tables of other systems, of any octets, in each format: what is read is fitted and proved, with
 * blocks shrunk or not, and no subscriber ever gets a port that is another's there. A first octet below the number of
 * formats names one.
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"
#include "import/import_prove.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The most mappings of a configuration. */
#define MAPPINGS 1000U

/* The plan of the parts that were found is the one of the rows. */
static void prove(struct import *m, bool shrink, bool whole)
{
	_cleanup_plan_ struct plan plan = { 0 };
	struct import_proof proof;
	struct error err = { "" };
	char *text;

	if (whole ? import_fit_whole(m) : import_fit(m, shrink))
		abort();
	/* Parts in ranges may share an outside address, which a plan refuses. */
	if (import_plan(m, &plan, &err)) {
		if (!*err.text || (!whole && m->n_parts + m->untranslated.n <= MAPPINGS))
			abort();
		return;
	}
	/* And they may overlap inside: whoever uses them asks import_row_kept(). */
	if (import_prove(m, &plan, &proof) || (proof.foreign && !whole) ||
	    proof.kept + proof.shrunk + proof.unkept != proof.subscribers || (!shrink && !whole && proof.shrunk))
		abort();
	text = import_write(m, "");
	if (!text || !*text)
		abort();
	free(text);
}

static void check_rows(const struct import *m)
{
	for (size_t i = 0; i < m->n_rows; i++)
		if (m->row[i].lo > m->row[i].hi || (i && m->row[i].in <= m->row[i - 1].in) || m->row[i].line > m->lines)
			abort();
	for (size_t i = 0; i < m->n_notes; i++)
		if (!*m->note[i].text || m->note[i].line > m->lines || m->note[i].kind >= N_IMPORT_NOTES)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool named = size && data[0] <= IMPORT_H3C;
	enum import_format format = named ? data[0] : IMPORT_AUTO;
	struct import_options options = { .junos_pool_boundaries = size & 1 ? -1 : 1 };

	for (unsigned way = 0; way < 3; way++) {
		_cleanup_import_ struct import *m = NULL;
		struct error err = { "" };

		if (import_read(format, (const char *)data + named, size - named, "FILE", &options, &m, &err)) {
			if (!*err.text)
				abort();
			return 0;
		}
		check_rows(m);
		prove(m, way == 1, way == 2);
	}
	return 0;
}
