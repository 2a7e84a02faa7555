// SPDX-License-Identifier: BSD-2-Clause
/*
 * All that comes of plans of other systems: rows, notes with their lines, the configuration, and what is kept. The
 * cases are in listings/import.txt; a name begins with the format, and one that ends in "shrink" is shrunk.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/fnv.h"
#include "import/import.h"
#include "import/import_prove.h"
#include "listed.h"
#include "plan/plan.h"

#define SHOWN 5U

static void print_row(FILE *out, const struct import_row *r)
{
	char in[ADDR_TEXT], outside[ADDR_TEXT];

	fprintf(out, "  %s %s %u-%u protocols %u line %u\n", addr_format(r->in, in), addr_format(r->out, outside),
		r->lo, r->hi, r->protos, r->line);
}

/* The first and last rows, and a sum of all. */
static void print_rows(FILE *out, const struct import *m)
{
	uint64_t sum = FNV1A_BEGIN;

	fprintf(out, "%s: %zu rows of %u lines\n", word_text(import_format_words, m->format), m->n_rows, m->lines);
	for (size_t i = 0; i < m->n_rows; i++) {
		const struct import_row r = m->row[i];

		sum = fnv1a(sum, &r, sizeof(r));
		if (i < SHOWN || i + SHOWN >= m->n_rows)
			print_row(out, &r);
	}
	if (m->n_rows > 2 * SHOWN)
		fprintf(out, "  all: %016llx\n", (unsigned long long)sum);
}

static void print_notes(FILE *out, const struct import *m)
{
	for (size_t i = 0; i < m->n_notes; i++)
		fprintf(out, "%s%s, line %u: %s\n", import_note_word(m->note[i].kind),
			import_note_lost(m->note[i].kind) ? " (lost)" : "", m->note[i].line, m->note[i].text);
	fprintf(out, "lost %llu, disabled %llu, differ %llu, unfit %llu, irregular %llu of %u to %u, shrunk to %u\n",
		(unsigned long long)m->n_lost, (unsigned long long)m->n_disabled, (unsigned long long)m->n_differ,
		(unsigned long long)m->n_unfit, (unsigned long long)m->n_irregular, m->irregular_lo, m->irregular_hi,
		m->shrunk_to);
}

static void print_proof(FILE *out, const struct import *m)
{
	_cleanup_plan_ struct plan plan = { 0 };
	struct import_proof p;
	struct error err;

	if (import_plan(m, &plan, &err)) {
		fprintf(out, "no plan: %s\n", err.text);
		return;
	}
	cr_assert_eq(import_prove(m, &plan, &p), 0);
	fprintf(out, "%llu subscribers: %llu kept, %llu shrunk, %llu not, %llu foreign\n",
		(unsigned long long)p.subscribers, (unsigned long long)p.kept, (unsigned long long)p.shrunk,
		(unsigned long long)p.unkept, (unsigned long long)p.foreign);
}

static void print_import(FILE *out, const char *name, const char *text, size_t size, bool whole)
{
	const struct import_options options = { .junos_pool_boundaries = strstr(name, "boundaries")
										 ? !!strstr(name, "boundaries yes")
										 : -1 };
	_cleanup_import_ struct import *m = NULL;
	_cleanup_free_ char *json = NULL;
	enum import_format format = IMPORT_AUTO;
	char word[16];
	struct error err;
	uint32_t n;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, " "), name);
	if (!word_number(import_format_words, word, &n))
		format = (enum import_format)n;
	if (import_read(format, text, size, "FILE", &options, &m, &err)) {
		fprintf(out, "refused: %s\n", err.text);
		return;
	}
	if (!whole)
		print_rows(out, m);
	cr_assert_eq(whole ? import_fit_whole(m) : import_fit(m, !!strstr(name, "shrink")), 0);
	if (whole) {
		json = import_write(m, "");
		fprintf(out, "whole: %s", strstr(json, "  \"mappings\""));
		return;
	}
	print_notes(out, m);
	json = import_write(m, strstr(name, "comment") ? "of a test" : "");
	fputs(json, out);
	print_proof(out, m);
}

static void print_case(FILE *out, const char *name, const char *text, size_t size)
{
	print_import(out, name, text, size, false);
	if (strstr(name, "whole"))
		print_import(out, name, text, size, true);
}

Test(import, all_that_comes_of_each_text_is_as_recorded)
{
	listed_expect("tests/unit/listings/import.txt", print_case);
}
