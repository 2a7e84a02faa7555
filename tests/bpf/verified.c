// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "verified.h"

/* Programs of some starts with everything on. */
#define MAX_NOTED 4096

static struct noted {
	char object[32], program[64];
	bool loaded;
	unsigned insns;
} noted[MAX_NOTED];
static unsigned n_noted, n_objects;

static void note_load(struct noted *n, const struct bpf_program *p)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	n->loaded = true;
	cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size), 0);
	n->insns = info.verified_insns;
}

void verified_note(const struct bpf_object *o)
{
	struct bpf_program *p;

	n_objects++;
	bpf_object__for_each_program(p, o)
	{
		struct noted *n = &noted[n_noted];

		cr_assert_lt(n_noted++, MAX_NOTED);
		*n = (struct noted){ 0 };
		snprintf(n->object, sizeof(n->object), "%s", bpf_object__name(o));
		snprintf(n->program, sizeof(n->program), "%s", bpf_program__name(p));
		if (bpf_program__autoload(p))
			note_load(n, p);
	}
}

void verified_reset(void)
{
	n_noted = n_objects = 0;
}

static int by_insns(const void *a, const void *b)
{
	const struct noted *x = a, *y = b;

	if (x->loaded != y->loaded)
		return y->loaded - x->loaded;
	return (x->insns < y->insns) - (x->insns > y->insns);
}

unsigned verified_report(const char *what)
{
	unsigned sum = 0, n_loaded = 0;

	for (unsigned i = 0; i < n_noted; i++) {
		n_loaded += noted[i].loaded;
		sum += noted[i].insns;
	}
	if (getenv("VERIFIED")) {
		qsort(noted, n_noted, sizeof(*noted), by_insns);
		for (unsigned i = 0; i < n_noted && noted[i].loaded; i++)
			printf("%8u  %-24s %s\n", noted[i].insns, noted[i].object, noted[i].program);
	}
	printf("%s: the verifier walks %u instructions, in %u programs of %u objects\n", what, sum, n_loaded,
	       n_objects);
	return sum;
}

/* The note of this program that says most: of its load, if there was one, with the most instructions. */
static const struct noted *note_of(const struct noted *same)
{
	const struct noted *most = NULL;

	for (const struct noted *n = noted; n < &noted[n_noted]; n++)
		if (!strcmp(n->object, same->object) && !strcmp(n->program, same->program) &&
		    (!most || n->loaded > most->loaded || n->insns > most->insns))
			most = n;
	return most;
}

void verified_each(void (*each)(const char *object, const char *program, bool loaded, unsigned insns))
{
	for (unsigned i = 0; i < n_noted; i++) {
		const struct noted *n = &noted[i];

		if (note_of(n) == n)
			each(n->object, n->program, n->loaded, n->insns);
	}
}
