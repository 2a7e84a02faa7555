// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "verified.h"

/* Programs of a start with everything on, and room for more. */
#define MAX_NOTED 512

static struct noted {
	char object[32], program[64];
	unsigned insns;
} noted[MAX_NOTED];
static unsigned n_noted, n_objects;

void verified_note(const struct bpf_object *o)
{
	struct bpf_program *p;

	n_objects++;
	bpf_object__for_each_program(p, o)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		struct noted *n = &noted[n_noted];

		if (!bpf_program__autoload(p) || n_noted == MAX_NOTED)
			continue;
		cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size), 0);
		snprintf(n->object, sizeof(n->object), "%s", bpf_object__name(o));
		snprintf(n->program, sizeof(n->program), "%s", bpf_program__name(p));
		n->insns = info.verified_insns;
		n_noted++;
	}
}

void verified_reset(void)
{
	n_noted = n_objects = 0;
}

static int by_insns(const void *a, const void *b)
{
	const struct noted *x = a, *y = b;

	return (x->insns < y->insns) - (x->insns > y->insns);
}

unsigned verified_report(const char *what)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n_noted; i++)
		sum += noted[i].insns;
	if (getenv("VERIFIED")) {
		qsort(noted, n_noted, sizeof(*noted), by_insns);
		for (unsigned i = 0; i < n_noted; i++)
			printf("%8u  %-24s %s\n", noted[i].insns, noted[i].object, noted[i].program);
	}
	printf("%s: the verifier walks %u instructions, in %u programs of %u objects\n", what, sum, n_noted, n_objects);
	return sum;
}
