// SPDX-License-Identifier: BSD-2-Clause
/*
 * What random statements about an address say of each second, whole, against recorded results: listings/statements.txt.
 * A row is of seconds that have the same answer: who, since when and until when he may have had it, and the doubt.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "listed.h"
#include "statements_told.h"

#define FIRST (-4)
#define LAST  70

static void print_time(FILE *out, int64_t t)
{
	if (t == TIME_NONE || t == TIME_OPEN)
		fputc('?', out);
	else
		fprintf(out, "%lld", (long long)t);
}

static void print_holder(FILE *out, const struct lease_holder *h)
{
	fprintf(out, " %s%s%s%s%s%s%s ", h->tenant, *h->tenant ? ":" : "", h->id, *h->mac ? "=" : "", h->mac,
		*h->session ? "," : "", h->session);
	print_time(out, h->from);
	fputs("..", out);
	print_time(out, h->to);
	fprintf(out, "%s%s%s;", h->ended ? "" : "?", h->certain ? "" : " ", lease_doubt_word(h->doubt));
}

static char *answer_text(const struct statements *book, const char *tenant, int64_t t)
{
	struct lease_answer a;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(out);
	statements_ask(book, tenant, t, &a);
	for (unsigned i = 0; i < a.n; i++)
		print_holder(out, &a.holder[i]);
	if (!a.n)
		fprintf(out, " nobody%s%s", a.certain ? "" : " ", lease_doubt_word(a.doubt));
	fprintf(out, "%s%s%s\n", a.others ? " others" : "", a.more ? " more" : "",
		statements_same(book, tenant, t - 2, t + 2, &a) ? " same" : "");
	fclose(out);
	return text;
}

static void print_answers(FILE *out, const struct statements *book, const char *tenant)
{
	_cleanup_free_ char *row = answer_text(book, tenant, FIRST);
	int64_t from = FIRST;

	for (int64_t t = FIRST + 1; t <= LAST; t++) {
		char *next = t < LAST ? answer_text(book, tenant, t) : NULL;

		if (next && !strcmp(next, row)) {
			free(next);
			continue;
		}
		fprintf(out, "%lld:%s", (long long)from, row);
		free(row);
		row = next;
		from = t;
	}
}

static int print_stay(void *arg, const struct lease_holder *h)
{
	print_holder(arg, h);
	return 0;
}

/* All stays, and of which windows statements bound the seconds in their middle. */
static void print_stays(FILE *out, const struct statements *book)
{
	bool before, after;

	fputs("stays:", out);
	statements_each(book, print_stay, out);
	fputs("\nclosed:", out);
	for (int64_t t = 15; t < 60; t += 15) {
		statements_closed(book, t - 10, t - 2, t + 2, t + 10, &before, &after);
		fprintf(out, " %lld%s%s", (long long)t, before ? " before" : "", after ? " after" : "");
	}
	fputc('\n', out);
}

/* Of a case "... of TENANT" by statements of the tenant. */
static void print_case(FILE *out, const char *name, const char *text, size_t size)
{
	const char *of = strstr(name, " of ");
	struct statements *book = statements_told(text);

	print_answers(out, book, of ? of + 4 : NULL);
	print_stays(out, book);
	statements_free(book);
}

Test(statements_listed, answers_of_each_second_are_as_recorded)
{
	listed_expect("tests/unit/listings/statements.txt", print_case);
}
