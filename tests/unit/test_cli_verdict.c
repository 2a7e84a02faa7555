/* SPDX-License-Identifier: BSD-2-Clause */
/* What several answers of one case say together. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "case_verdict.h"

#define READ_UNTIL 1000

/* Answers, a letter each: a, b: a customer; A, B: the same with a mapping that has ended; c: of another tenant; d: a
 * name in other letters. */
static const struct {
	const char *answers;
	bool customers;
	int64_t t;
	const char *text;
} rows[] = {
	{ "aa", true, 500, "all 2 name the same customer" },
	{ "aaa", false, 500, "all 3 name the same subscriber" },
	{ "abb", true, 500, "they differ: lines 2, 3" },
	{ "aba", false, 500, "they differ: lines 2" },
	{ "ac", true, 500, "they differ: lines 2" },
	{ "ad", true, 500, "they differ: lines 2" },
	{ "a-a", true, 500, "not definite: lines 2" },
	{ "-ab?", true, 500, "they differ: lines 3; not definite: lines 1, 4" },
	{ "a+a", true, 500, "not definite: lines 2" },
	{ "--", false, 500, "not definite: lines 1, 2" },
	{ "a?", false, 500, "all 2 name the same subscriber" },
	/* After the end of the copy a mapping that went on may have changed, one that had ended has not. */
	{ "aA", true, READ_UNTIL + 120, "all 2 name the same customer" },
	{ "aA", true, READ_UNTIL + 121, "not definite: lines 1" },
};

static void take(struct verdict *v, char answer, uint64_t line, int64_t t, bool customers)
{
	static int days;
	struct who_source s = { .until = READ_UNTIL };
	struct who_reply r = { .result = answer == '-' ? WHO_NO_RECORD : WHO_FOUND };
	struct who_holder other = { .in_addr = 9 };
	bool second = answer == 'b' || answer == 'B';

	r.answer.best.in_addr = second ? 2 : 1;
	r.answer.best.to = answer == 'A' || answer == 'B' ? 400 : TIME_OPEN;
	r.answer.other = answer == '+' ? &other : NULL;
	r.customer.asked = true;
	r.customer.lease.certain = answer != '?';
	r.customer.lease.n = answer != '?';
	r.customer.lease.holder[0] = (struct lease_holder){
		.id = second ? "bob" : "alice", .tenant = "", .mac = "", .circuit = "", .session = "", .certain = true
	};
	if (answer == 'c')
		r.customer.lease.holder[0].tenant = "c";
	if (answer == 'd')
		r.customer.lease.holder[0].id = "Alice";
	if (customers)
		s.customers.days = (struct lease_days *)(void *)&days;
	verdict_take(v, line, t, &r, &s);
}

Test(cli_verdict, names_the_lines_that_differ_and_those_that_are_not_definite)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		struct verdict v = { 0 };

		for (size_t k = 0; rows[i].answers[k]; k++)
			take(&v, rows[i].answers[k], k + 1, rows[i].t, rows[i].customers);
		text = verdict_text(&v);
		cr_expect_str_eq(text, rows[i].text, "%s: %s", rows[i].answers, text);
		verdict_free(&v);
	}
}

Test(cli_verdict, a_line_with_several_answers_is_named_once)
{
	_cleanup_free_ char *text = NULL;
	struct verdict v = { 0 };

	take(&v, 'a', 1, 500, true);
	take(&v, 'b', 2, 500, true);
	take(&v, 'b', 2, 500, true);
	take(&v, '-', 3, 500, true);
	take(&v, '?', 3, 500, true);
	text = verdict_text(&v);
	cr_expect_str_eq(text, "they differ: lines 2; not definite: lines 3", "%s", text);
	verdict_free(&v);
}
