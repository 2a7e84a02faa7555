/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

struct config *config_of(const char *text)
{
	struct error err = { "" };
	struct config *c = NULL;

	cr_assert_eq(config_parse(text, strlen(text), "FILE", &c, &err), 0, "%s\n%s", err.text, text);
	return c;
}

void expect_refused(const struct refused_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct error err = { "" };
		struct config *c = NULL;
		char wanted[512];
		int r = config_parse(rows[i].text, strlen(rows[i].text), "FILE", &c, &err);

		snprintf(wanted, sizeof(wanted), "FILE%s", rows[i].message);
		cr_expect_eq(r, -EINVAL, "row %zu was taken: %s", i, rows[i].text);
		cr_expect_str_eq(err.text, wanted, "row %zu: \"%s\" instead of \"%s\"", i, err.text, wanted);
		cr_expect_null(c, "nothing is returned where the text is refused");
		config_free(c);
	}
}

void expect_document(const char *text, const char *key, const char *wanted)
{
	struct config *c = config_of(text);
	cJSON *json = config_document(c, false);
	char *got = cJSON_PrintUnformatted(cJSON_GetObjectItem(json, key));

	cr_expect_str_eq(got, wanted);
	free(got);
	cJSON_Delete(json);
	config_free(c);
}

struct config *config_read_back(const struct config *c)
{
	char *text = config_to_json(c), *twice;
	struct config *again = config_of(text);

	twice = config_to_json(again);
	cr_expect_str_eq(text, twice);
	free(text);
	free(twice);
	return again;
}
