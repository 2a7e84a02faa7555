// SPDX-License-Identifier: BSD-2-Clause
#include "listed.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static char *whole_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	size_t n;

	cr_assert(f && text, "%s cannot be read: the tests run from the top directory", path);
	n = fread(text, 1, (1 << 20) - 1, f);
	cr_assert(n && n < (1 << 20) - 1, "%s is empty or too large", path);
	fclose(f);
	return text;
}

/* The end of the lines before one that begins with `mark`. */
static char *before(char *from, const char *mark)
{
	size_t n = strlen(mark);

	while (*from && strncmp(from, mark, n) != 0) {
		from += strcspn(from, "\n");
		from += *from == '\n';
	}
	return from;
}

static void expect_same(const char *name, const char *got, size_t n_got, const char *wanted, size_t n_wanted)
{
	unsigned line = 1;
	size_t at = 0, begin = 0;

	if (n_got == n_wanted && !memcmp(got, wanted, n_got))
		return;
	for (; at < n_got && at < n_wanted && got[at] == wanted[at]; at++)
		if (got[at] == '\n') {
			line++;
			begin = at + 1;
		}
	cr_expect(false, "%s, line %u of its result:\n%.*s\ninstead of\n%.*s", name, line,
		  (int)strcspn(got + begin, "\n"), got + begin, (int)strcspn(wanted + begin, "\n"), wanted + begin);
}

void listed_expect(const char *path, listed_print print)
{
	_cleanup_free_ char *text = whole_file(path), *again = NULL;
	bool record = getenv("DETNAT_RECORD");
	size_t size, cases = 0;
	FILE *all = open_memstream(&again, &size), *out;

	fwrite(text, 1, (size_t)(before(text, "## ") - text), all);
	for (char *at = before(text, "## "); *at; cases++) {
		char *input = strchr(at, '\n') + 1, *arrow = before(input, "-->"), *result = arrow + 4;
		char *end = *arrow ? before(result, "## ") : arrow, *got = NULL;
		_cleanup_free_ char *alone = strndup(input, (size_t)(arrow - input));
		char name[128];
		size_t n;

		snprintf(name, sizeof(name), "%.*s", (int)(input - at - 4), at + 3);
		out = open_memstream(&got, &n);
		print(out, name, alone, strlen(alone));
		fclose(out);
		if (!record)
			expect_same(name, got, n, result, (size_t)(end - result));
		fprintf(all, "## %s\n%.*s-->\n%s", name, (int)(arrow - input), input, got);
		free(got);
		at = end;
	}
	fclose(all);
	cr_assert(cases, "%s has no case", path);
	if (record) {
		out = fopen(path, "w");
		cr_assert(out);
		fputs(again, out);
		fclose(out);
	}
}
