/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *finding_kind_name(enum finding_kind kind)
{
	static const char *const names[] = {
#define X(constant, name) [constant] = name,
		FINDING_KINDS(X)
#undef X
	};

	return names[kind];
}

void findings_add(struct findings *f, enum finding_kind kind, bool repaired, const char *where, const char *format, ...)
{
	struct finding *grown;
	va_list ap;

	f->total++;
	f->repaired += repaired;
	if (f->n == FINDINGS_MAX)
		return;
	if (!(f->n & (f->n - 1))) {
		grown = reallocarray(f->finding, f->n ? 2 * f->n : 1, sizeof(*grown));
		if (!grown) {
			f->failed = true;
			return;
		}
		f->finding = grown;
	}
	grown = &f->finding[f->n++];
	*grown = (struct finding){ .kind = kind, .repaired = repaired };
	snprintf(grown->where, sizeof(grown->where), "%s", where);
	va_start(ap, format);
	vsnprintf(grown->text, sizeof(grown->text), format, ap);
	va_end(ap);
}

void findings_mark_repaired(struct findings *f, size_t from, const struct findings *after)
{
	for (size_t i = from; i < f->n; i++) {
		struct finding *was = &f->finding[i];

		was->repaired = true;
		for (size_t k = 0; k < after->n; k++)
			if (was->kind == after->finding[k].kind && !strcmp(was->where, after->finding[k].where))
				was->repaired = false;
		f->repaired += was->repaired;
	}
}

void findings_free(struct findings *f)
{
	free(f->finding);
	*f = (struct findings){ 0 };
}
