/* SPDX-License-Identifier: BSD-2-Clause */
/* How a line of a batch is split into words. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "batch_file.h"

Test(cli_batch, line_is_split_into_words)
{
	static const struct {
		const char *line;
		const char *words[5];
	} rows[] = {
		{ "", {} },
		{ "  \t\r\n", {} },
		{ "# all", {} },
		{ " status\n", { "status" } },
		{ "mapping set a --comment 'x y'\r\n", { "mapping", "set", "a", "--comment", "x y" } },
		{ "a b#c #d e", { "a", "b#c" } },
		{ "\"a b\"c 'd'\"e\" \"\"", { "a bc", "de", "" } },
		{ "a\\ b \\# \\\\ '\\' \"\\\"\"", { "a b", "#", "\\", "\\", "\"" } },
		{ "a\\", { "a\\" } },
		{ "\"'\" '\"'", { "'", "\"" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char line[128], *words[BATCH_MAX_WORDS + 1];
		struct error err = {};
		int n;

		strcpy(line, rows[i].line);
		n = batch_split(line, words, &err);
		cr_assert_geq(n, 0, "row %zu: %s", i, err.text);
		cr_assert_null(words[n]);
		for (int k = 0; k < 5 && (k < n || rows[i].words[k]); k++)
			cr_expect(k < n && rows[i].words[k] && !strcmp(words[k], rows[i].words[k]), "row %zu, word %d",
				  i, k);
	}
}

Test(cli_batch, bad_line_is_refused)
{
	static const char *const rows[] = { "a \"b", "'", "a 'b\"", "\"\\\"" };
	char line[256] = "", *words[BATCH_MAX_WORDS + 1];
	struct error err = {};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(line, rows[i]);
		cr_expect_eq(batch_split(line, words, &err), -EINVAL, "row %zu", i);
		cr_expect_str_eq(err.text, "a quote is not closed");
	}
	memset(line, 0, sizeof(line));
	for (unsigned i = 0; i <= BATCH_MAX_WORDS; i++)
		strcat(line, "x ");
	cr_expect_eq(batch_split(line, words, &err), -EINVAL);
	line[0] = '\0';
	for (unsigned i = 0; i < BATCH_MAX_WORDS; i++)
		strcat(line, "x ");
	cr_expect_eq(batch_split(line, words, &err), (int)BATCH_MAX_WORDS);
}
