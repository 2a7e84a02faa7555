/* SPDX-License-Identifier: BSD-2-Clause */
/* What gets to stdout, as text and as JSON. */
#include <criterion/criterion.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "writer.h"

static char *text;
static size_t size;
static struct writer w;

static void setup(void)
{
	w = (struct writer){ .out = open_memstream(&text, &size) };
}

TestSuite(cli_writer, .init = setup);

static const char *written(void)
{
	fflush(w.out);
	return text;
}

static const struct column columns[] = {
	{ "NAME", "name", cell_text, false, 6 },
	{ "N", "n", cell_number, true, 3 },
	{ "LAST", "flag", cell_flag, false, 8 },
	{},
};

Test(cli_writer, a_table_is_as_wide_as_its_cells)
{
	cJSON *rows = cJSON_Parse("[{\"name\":\"a\",\"n\":1234567,\"flag\":true},{\"name\":\"\xc3\xa4\xc3\xb6\xc3\xbc"
				  "defgh\",\"n\":0,\"flag\":false},{}]");

	writer_table(&w, columns, "none", rows);
	cr_assert_str_eq(written(), "NAME            N  LAST\n"
				    "a         1234567  yes\n"
				    "\xc3\xa4\xc3\xb6\xc3\xbc"
				    "defgh        0  no\n"
				    "-               -  -\n");
}

/* On a terminal of 24 columns; the header breaks where the rows do. */
Test(cli_writer, what_does_not_fit_into_a_terminal_goes_on_below)
{
	static const struct column wide[] = { { "NAME", "name", cell_text, false, 0 },
					      { "NUMBER", "n", cell_number, true, 0 },
					      { "WORDS", "words", cell_quoted, false, 0 },
					      {} };
	cJSON *rows = cJSON_Parse("[{\"name\":\"twelve-signs\",\"n\":1,\"words\":\"seven words that are more than a "
				  "line\"},{\"name\":\"b\",\"n\":22}]");

	w.columns = 24;
	writer_table(&w, wide, "none", rows);
	cr_assert_str_eq(written(), "NAME          NUMBER\n    WORDS\ntwelve-signs       1\n    \"seven words that\n"
				    "    are more than a\n    line\"\nb                 22\n    -\n");
}

Test(cli_writer, long_lines_and_words_are_broken_and_nothing_is_lost)
{
	static const struct column fields[] = { { "Text", "a", cell_text, false, 0 }, {} };

	w.columns = 24;
	writer_line(&w, "%s", "a text of thirty columns, or a few more");
	writer_fields(&w, fields, cJSON_Parse("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"));
	cr_assert_str_eq(written(),
			 "a text of thirty\n    columns, or a few\n    more\nText:\n      aaaaaaaaaaaaaaaaaa\n"
			 "      aaaaaaaaaaaa\n");
}

Test(cli_writer, an_empty_table_says_so)
{
	writer_table(&w, columns, "no mappings", cJSON_Parse("[]"));
	cr_assert_str_eq(written(), "no mappings\n");
}

Test(cli_writer, fields_are_aligned_and_absent_ones_left_out)
{
	static const struct column fields[] = {
		{ "Short", "a", cell_text, false, 0 },
		{ "Much longer", "b", cell_number, false, 0 },
		{ "Absent", "c", cell_number, false, 0 },
		{},
	};

	writer_fields(&w, fields, cJSON_Parse("{\"b\":5,\"a\":\"x\"}"));
	cr_assert_str_eq(written(), "Short:       x\nMuch longer: 5\n");
}

static const struct {
	cell_format format;
	const char *json, *text;
} cells[] = {
	{ cell_text, "\"x\"", "x" },
	{ cell_text, "5", "-" },
	{ cell_number, "4294967296", "4294967296" },
	{ cell_number, "9007199254740992", "9007199254740992" },
	{ cell_number, "\"5\"", "-" },
	{ cell_flag, "true", "yes" },
	{ cell_flag, "null", "-" },
	{ cell_bytes, "0", "0 B" },
	{ cell_bytes, "1023", "1023 B" },
	{ cell_bytes, "1536", "1.5 KiB" },
	{ cell_bytes, "35433480192", "33.0 GiB" },
	{ cell_bytes, "1e30", "888178419700125.2 PiB" },
	{ cell_seconds, "7440", "7440 s" },
	{ cell_duration, "0", "00:00:00" },
	{ cell_duration, "86399", "23:59:59" },
	{ cell_duration, "273906", "3 d 04:05:06" },
	{ cell_duration, "-1", "00:00:00" },
	{ cell_duration, "1e300", "00:00:00" },
	{ cell_list, "[\"quota\",\"ports\"]", "quota, ports" },
	{ cell_list, "[]", "-" },
	{ cell_list, "5", "-" },
};

Test(cli_writer, cells_have_units)
{
	for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		char cell[CELL_TEXT];
		cJSON *row = cJSON_CreateObject();

		cJSON_AddItemToObject(row, "key", cJSON_Parse(cells[i].json));
		cells[i].format(row, "key", cell);
		cr_expect_str_eq(cell, cells[i].text, "%s: %s", cells[i].json, cell);
		cells[i].format(row, "other", cell);
		cr_expect_str_eq(cell, "-");
		cJSON_Delete(row);
	}
}

Test(cli_writer, cells_are_cut_at_their_bound)
{
	static char long_text[1000];
	char cell[CELL_TEXT];
	cJSON *row = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(row, "list");

	memset(long_text, 'x', sizeof(long_text) - 1);
	cJSON_AddStringToObject(row, "text", long_text);
	cJSON_AddStringToObject(row, "in_addr", long_text);
	cJSON_AddNumberToObject(row, "in_port", 1e300);
	for (int i = 0; i < 100; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString("words"));
	cell_text(row, "text", cell);
	cr_expect_eq(strlen(cell), CELL_TEXT - 1);
	cell_list(row, "list", cell);
	cr_expect_eq(strlen(cell), CELL_TEXT - 1);
	cell_endpoint(row, "in", cell);
	cr_expect_lt(strlen(cell), CELL_TEXT);
	cell_number(row, "in_port", cell);
	cr_expect_eq(strlen(cell), CELL_TEXT - 1);
}

Test(cli_writer, a_stream_of_text_has_fixed_columns)
{
	writer_stream_begin(&w, columns);
	writer_stream_row(&w, columns, NULL, cJSON_Parse("{\"name\":\"a\",\"n\":1,\"flag\":true}"));
	writer_stream_row(&w, columns, NULL, cJSON_Parse("{\"name\":\"much too long\",\"n\":1,\"flag\":true}"));
	writer_stream_end(&w, "none");
	cr_assert_str_eq(written(), "NAME      N  LAST\na         1  yes\nmuch too long    1  yes\n");
}

Test(cli_writer, a_stream_without_rows_says_so)
{
	writer_stream_begin(&w, columns);
	writer_stream_end(&w, "no sessions");
	cr_assert_str_eq(written(), "no sessions\n");
}

Test(cli_writer, a_stream_of_json_is_one_document)
{
	w.json = true;
	writer_stream_begin(&w, columns);
	writer_stream_row(&w, columns, "{\"n\":1}", NULL);
	writer_stream_row(&w, columns, "{\"n\":2}", NULL);
	cr_expect_null(cJSON_Parse(written()), "half a listing is no document");
	writer_stream_end(&w, "none");
	cr_assert_str_eq(written(), "[\n{\"n\":1},\n{\"n\":2}\n]\n");
	cr_expect(cJSON_Parse(written()));
}

Test(cli_writer, a_stream_of_json_in_a_batch_is_a_line)
{
	w.json = w.lines = true;
	for (unsigned i = 0; i < 2; i++) {
		writer_stream_begin(&w, columns);
		writer_stream_row(&w, columns, "{\"n\":1}", NULL);
		writer_stream_row(&w, columns, "{\"n\":2}", NULL);
		writer_stream_end(&w, "none");
	}
	cr_assert_str_eq(written(), "[{\"n\":1},{\"n\":2}]\n[{\"n\":1},{\"n\":2}]\n");
}

Test(cli_writer, an_empty_stream_of_json_is_an_empty_array)
{
	w.json = true;
	writer_stream_begin(&w, columns);
	writer_stream_end(&w, "none");
	cr_assert_str_eq(written(), "[]\n");
}

Test(cli_writer, the_first_failing_write_is_remembered)
{
	w.out = fopen("/dev/full", "w");
	cr_assert(w.out);
	writer_line(&w, "text");
	cr_expect_eq(writer_flush(&w), -ENOSPC);
	cr_expect_eq(writer_flush(&w), -ENOSPC);
}

static const struct {
	const char *json, *indented;
} pretty[] = {
	{ "{}", "{}\n" },
	{ "[ ]", "[]\n" },
	{ "18446744073709551615", "18446744073709551615\n" },
	{ "{\"a\":{\"b\":[1,2.50]},\"c\":[]}",
	  "{\n  \"a\": {\n    \"b\": [\n      1,\n      2.50\n    ]\n  },\n  \"c\": []\n}\n" },
	{ "[\"a\\\"],{:\\\\\",null]", "[\n  \"a\\\"],{:\\\\\",\n  null\n]\n" },
	/* Not JSON: written to its end, in bounds. */
	{ "\"\\", "\"\\\n" },
	{ "]}", "\n]\n}\n" },
};

Test(cli_writer, indented_json_has_a_line_for_each_member_and_every_digit)
{
	w.json = w.pretty = true;
	for (size_t i = 0; i < ARRAY_SIZE(pretty); i++) {
		long before = (fflush(w.out), ftell(w.out));

		writer_json(&w, pretty[i].json, strlen(pretty[i].json));
		cr_expect_str_eq(written() + before, pretty[i].indented, "%s: %s", pretty[i].json, written() + before);
	}
}

Test(cli_writer, an_indented_stream_is_one_document)
{
	w.json = w.pretty = true;
	writer_stream_begin(&w, NULL);
	writer_stream_row(&w, NULL, "{\"n\":1}", NULL);
	writer_stream_row(&w, NULL, "{}", NULL);
	writer_stream_end(&w, NULL);
	cr_assert_str_eq(written(), "[\n  {\n    \"n\": 1\n  },\n  {}\n]\n");
}
