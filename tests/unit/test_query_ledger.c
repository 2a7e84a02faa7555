/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the ledger of queries. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/chain.h"
#include "base/ledger_verify.h"
#include "base/query_ledger.h"

#define T0 1769860800LL /* 2026-01-31T12:00:00Z */

static const struct query lookup = {
	.user = "desk",
	.uid = 7,
	.for_whom = "lea",
	.via = "desk",
	.kind = "who",
	.case_id = "17",
	.reason = "order \"9\"",
	.endpoint = "1.1.1.1:1276",
	.at = "2026-01-31T10:00:00Z",
};

static char *line_of(const struct query *q)
{
	char *text = NULL;
	struct error err;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(query_write(out, q, T0, &err), 0, "%s", err.text);
	fclose(out);
	return text;
}

Test(query_ledger, a_line_says_who_asked_what_and_for_which_case)
{
	char *text = line_of(&lookup);

	cr_expect_str_eq(
		text, "\"time\":\"2026-01-31T12:00:00Z\",\"uid\":7,\"user\":\"desk\",\"for\":\"lea\",\"via\":\"desk\","
		      "\"kind\":\"who\",\"case\":\"17\",\"reason\":\"order \\\"9\\\"\",\"endpoint\":\"1.1.1.1:1276\","
		      "\"at\":\"2026-01-31T10:00:00Z\"\n");
	free(text);
}

Test(query_ledger, words_of_strangers_are_escaped_and_stay_one_line)
{
	struct query q = { .user = "a\nb",
			   .question = "\x1b[2J\x7f\xff",
			   .reason = "\xe2\x80\xae"
				     "x" };
	char *text = line_of(&q);

	cr_expect_str_eq(text,
			 "\"time\":\"2026-01-31T12:00:00Z\",\"uid\":0,\"user\":\"a\\u000ab\",\"reason\":\"\\u202ex\","
			 "\"question\":\"\\u001b[2J\\u007f\\\\xff\"\n");
	free(text);
}

Test(query_ledger, a_line_about_many_looks_says_how_many)
{
	struct query q = { .user = "desk", .times = 12 };
	char *text = line_of(&q);

	cr_expect_str_eq(text, "\"time\":\"2026-01-31T12:00:00Z\",\"uid\":0,\"user\":\"desk\",\"times\":12\n");
	free(text);
}

Test(query_ledger, the_longest_line_has_8192_octets)
{
	static char whole[QUERY_TEXT_MAX + 1], rest[QUERY_TEXT_MAX + 1];
	struct query q = { whole, 0, whole, whole, whole, whole, whole, whole, .question = rest };
	struct error err = { 0 };
	size_t left;
	char *text;

	memset(whole, 'x', QUERY_TEXT_MAX);
	text = line_of(&q);
	/* Without the newline. */
	left = 8192 - (strlen(text) - 1);
	free(text);
	memset(rest, 'y', left);
	text = line_of(&q);
	cr_expect_eq(strlen(text), 8193);
	free(text);
	rest[left] = 'y';
	cr_expect_eq(query_write(stderr, &q, T0, &err), -E2BIG);
	cr_expect_str_eq(err.text, "the line of this look would have more than 8192 octets; shorten its texts");
}

/* Whether a directory asks for lines, whose head has a text; NULL: it has none. */
static bool audited(const char *text)
{
	char dir[] = "/tmp/detnat-queries.XXXXXX", path[64];
	bool says;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/head", dir);
	if (text) {
		FILE *head = fopen(path, "w");

		cr_assert(head && fputs(text, head) >= 0 && !fclose(head));
	}
	says = query_audited(dir, "head");
	cr_assert(!text || !unlink(path));
	cr_assert_eq(rmdir(dir), 0);
	return says;
}

Test(query_ledger, the_head_of_a_history_says_whether_looks_leave_lines)
{
	cr_expect(audited("{\"line\":1,\"audit_queries\":true}\n"));
	cr_expect_not(audited("{\"line\":1}\n"));
	cr_expect_not(audited(""));
	cr_expect_not(audited(NULL));
	cr_expect_not(query_audited("/tmp/detnat-no-such-directory", "head"));
}

Test(query_ledger, a_text_that_is_too_long_is_refused_and_leaves_the_ledger_as_it_was)
{
	char dir[] = "/tmp/detnat-queries.XXXXXX", command[64], text[QUERY_TEXT_MAX + 2];
	struct ledger_state state;
	struct query q = lookup;
	struct error err = { 0 };

	cr_assert(mkdtemp(dir));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	q.reason = text;
	cr_expect_eq(query_note(dir, &q, T0, &err), -E2BIG);
	cr_expect_str_eq(err.text, "reason: has more than 1024 octets; shorten it");
	text[QUERY_TEXT_MAX] = '\0';
	memset(text, '\x01', QUERY_TEXT_MAX);
	q = (struct query){ text, 0, text, text, text, text, text, text, text, text, text, text, text };
	cr_expect_eq(query_note(dir, &q, T0, &err), -E2BIG);
	/* Another line can be appended to the longest. */
	q = (struct query){ .user = text };
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(query_note(dir, &q, T0, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_verify(dir, NULL, NULL, &state, &err), 0);
	cr_expect_eq(state.lines, 2);
	cr_expect_eq(state.wrong, 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}
