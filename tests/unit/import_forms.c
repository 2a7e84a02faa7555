// SPDX-License-Identifier: BSD-2-Clause
#include "import_forms.h"

#include <criterion/criterion.h>
#include <string.h>

#include "import/import_build.h"
#include "import/import_prove.h"
#include "plan/plan.h"

static uint32_t address(const char *text)
{
	uint32_t a;

	cr_assert_eq(addr_parse(text, &a), 0, "%s", text);
	return a;
}

/* Every accepted plan is kept whole: the proof is the importer's own. */
static void expect_kept(const struct form *f, struct import *m)
{
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_free_ char *text = NULL;
	struct import_proof proof;
	struct error err;

	cr_assert_eq(import_fit(m, false), 0);
	cr_assert_eq(import_plan(m, &plan, &err), 0, "%s: %s", f->name, err.text);
	cr_assert_eq(import_prove(m, &plan, &proof), 0);
	cr_expect_eq(proof.kept, f->subscribers, "%s keeps %llu", f->name, (unsigned long long)proof.kept);
	cr_expect_eq(proof.foreign, 0, "%s", f->name);
	text = import_write(m, "");
	if (f->written)
		cr_expect_not_null(strstr(text, f->written), "%s: %s", f->name, text);
}

static void expect_notes(const struct form *f, const struct import *m)
{
	uint32_t lost = 0, named = 0;

	for (size_t i = 0; i < m->n_notes; i++)
		*(import_note_lost(m->note[i].kind) ? &lost : &named) |= KIND(m->note[i].kind);
	for (size_t i = 0; i < m->n_notes && lost != f->lost; i++)
		cr_log_warn("%s: %s", f->name, m->note[i].text);
	cr_expect_eq(lost, f->lost, "%s loses %x", f->name, lost);
	cr_expect_eq(named & f->named, f->named, "%s names %x", f->name, named);
}

void expect_forms(const struct form *forms, size_t n)
{
	const struct import_options options = { .junos_pool_boundaries = -1 };

	for (size_t i = 0; i < n; i++) {
		const struct form *f = &forms[i];
		_cleanup_import_ struct import *m = NULL;
		struct error err;

		cr_assert_eq(import_read(IMPORT_AUTO, f->text, strlen(f->text), "FILE", &options, &m, &err), 0,
			     "%s: %s", f->name, err.text);
		cr_expect_eq(m->format, f->format, "%s", f->name);
		cr_expect_eq(m->n_rows, f->subscribers, "%s: %zu", f->name, m->n_rows);
		for (size_t k = 0; k < ARRAY_SIZE(f->e) && f->e[k].in; k++) {
			const struct import_row *r = import_find(m, address(f->e[k].in));

			cr_assert_not_null(r, "%s: %s has no block", f->name, f->e[k].in);
			cr_expect_eq(r->out, address(f->e[k].out), "%s: %s", f->name, f->e[k].in);
			cr_expect_eq(r->lo, f->e[k].lo, "%s: %s from %u", f->name, f->e[k].in, r->lo);
			cr_expect_eq(r->hi, f->e[k].hi, "%s: %s to %u", f->name, f->e[k].in, r->hi);
		}
		expect_kept(f, m);
		expect_notes(f, m);
	}
}
