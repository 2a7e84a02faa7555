/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict scan: JSON of RFC 8259 and nothing else, faults with their line and path, values with their lines. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/json_scan.h"

struct row {
	const char *text;
	unsigned line;
	const char *path;
	const char *fault; /* NULL: good */
	size_t size;	   /* where strlen() is not it */
};

static void expect_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct json_fault fault = { 0 };
		cJSON *json = NULL;
		/* In memory of its own size, so that a read beyond the end is seen by the sanitizer. */
		size_t size = rows[i].size ? rows[i].size : strlen(rows[i].text);
		char *text = malloc(size);

		memcpy(text, rows[i].text, size);

		int r = json_read(text, size, &json, &fault);

		cr_expect_eq(r, rows[i].fault ? -EINVAL : 0, "row %zu: %s: %d, %s", i, rows[i].text, r, fault.text);
		if (rows[i].fault) {
			cr_expect_str_eq(fault.text, rows[i].fault, "row %zu: %s", i, fault.text);
			cr_expect_str_eq(fault.path.text, rows[i].path, "row %zu: %s", i, fault.path.text);
			cr_expect_eq(fault.line, rows[i].line, "row %zu: line %u", i, fault.line);
		}
		cJSON_Delete(json);
		free(text);
	}
}

Test(config_json, good_texts)
{
	static const struct row rows[] = {
		{ "0" },
		{ "-0" },
		{ "true" },
		{ "false" },
		{ "null" },
		{ "\"\"" },
		{ "[]" },
		{ "{}" },
		{ "\xef\xbb\xbf{}" },
		{ " \t\r\n{ } \n" },
		{ "[1,-1,0.5,1e3,1E+3,1e-3,-0.0e0,123456789012345678901234567890]" },
		{ "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\uFFFF\"]" },
		{ "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"]" },
		{ "[\"\x7f\"]" },
		{ "{\"a\":{\"a\":[{\"a\":1}]}}" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(config_json, broken_structure)
{
	static const struct row rows[] = {
		{ " ", 1, "", "there is nothing in it" },
		{ "\n\n", 3, "", "there is nothing in it" },
		{ "{} x", 1, "", "'x' where the end should be" },
		{ "{}\n{}", 2, "", "'{' where the end should be" },
		{ "{}\0", 1, "", "octet 0x00 where the end should be", 3 },
		{ "{", 1, "", "the text ends where a key in quotes should be" },
		{ "[", 1, "[0]", "the text ends where a value should be" },
		{ "[1", 1, "", "the text ends where a comma or ] should be" },
		{ "[1,]", 1, "[1]", "']' where a value should be" },
		{ "[1 2]", 1, "", "'2' where a comma or ] should be" },
		{ "[,1]", 1, "[0]", "',' where a value should be" },
		{ "[1}", 1, "", "'}' where a comma or ] should be" },
		{ "{\"a\"}", 1, "a", "'}' where a colon should be" },
		{ "{\"a\":}", 1, "a", "'}' where a value should be" },
		{ "{\"a\":1,}", 1, "", "'}' where a key in quotes should be" },
		{ "{\"a\":1 \"b\":2}", 1, "", "'\"' where a comma or } should be" },
		{ "{a:1}", 1, "", "'a' where a key in quotes should be" },
		{ "{'a':1}", 1, "", "''' where a key in quotes should be" },
		{ "{1:1}", 1, "", "'1' where a key in quotes should be" },
		{ "{\"a\":{\"b\":[0,\n{\"c\":]}]}}", 2, "a.b[1].c", "']' where a value should be" },
		{ "// x\n{}", 1, "", "'/' where a value should be" },
		{ "{\"a\":1} # x", 1, "", "'#' where the end should be" },
		{ "tru", 1, "", "'t' where a value should be" },
		{ "nul", 1, "", "'n' where a value should be" },
		{ "True", 1, "", "'T' where a value should be" },
		{ "falsehood", 1, "", "'h' where the end should be" },
		{ "NaN", 1, "", "'N' where a value should be" },
		{ "[Infinity]", 1, "[0]", "'I' where a value should be" },
		{ "\x01{}", 1, "", "octet 0x01 where a value should be" },
		{ "\xff\xfe{\0}\0", 1, "", "octet 0xff where a value should be", 6 },
		{ "\xc2\xa0{}", 1, "", "octet 0xc2 where a value should be" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 1,
		  "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]",
		  "nested more than 32 deep" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(config_json, broken_numbers)
{
	static const struct row rows[] = {
		{ "01", 1, "", "'1' where the end should be" },
		{ "-", 1, "", "the text ends where a digit should be" },
		{ "-a", 1, "", "'a' where a digit should be" },
		{ "+1", 1, "", "'+' where a value should be" },
		{ ".5", 1, "", "'.' where a value should be" },
		{ "5.", 1, "", "the text ends where a digit should be" },
		{ "1e", 1, "", "the text ends where a digit should be" },
		{ "1e+", 1, "", "the text ends where a digit should be" },
		{ "0x10", 1, "", "'x' where the end should be" },
		{ "1_000", 1, "", "'_' where the end should be" },
		{ "[12345678901234567890123456789012345678901]", 1, "[0]", "a number of more than 40 characters" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(config_json, broken_strings)
{
	static const struct row rows[] = {
		{ "\"", 1, "", "a string that does not end" },
		{ "\"a", 1, "", "a string that does not end" },
		{ "\"a\\", 1, "", "a string that does not end" },
		{ "\"a\nb\"", 1, "", "a string that does not end on its line" },
		{ "\"a\tb\"", 1, "", "control character 0x09 in a string" },
		{ "\"a\0b\"", 1, "", "control character 0x00 in a string", 5 },
		{ "\"\\x\"", 1, "", "an escape that JSON does not have" },
		{ "\"\\\0\"", 1, "", "an escape that JSON does not have", 4 },
		{ "\"\\u12\"", 1, "", "\\u without four hexadecimal digits" },
		{ "\"\\u12g4\"", 1, "", "\\u without four hexadecimal digits" },
		{ "\"\\u", 1, "", "\\u without four hexadecimal digits" },
		{ "\"\\u0000\"", 1, "", "a NUL in a string" },
		{ "\"\\ud800\"", 1, "", "half a surrogate pair in a string" },
		{ "\"\\ud800\\n\"", 1, "", "half a surrogate pair in a string" },
		{ "\"\\ud800\\ud800\"", 1, "", "half a surrogate pair in a string" },
		{ "\"\\udc00\"", 1, "", "half a surrogate pair in a string" },
		{ "{\"k\":\"\xff\"}", 1, "k", "a string that is not UTF-8" },
		{ "\"\x80\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xc3\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xc3", 1, "", "a string that is not UTF-8" },
		{ "\"\xc0\x80\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xc1\xbf\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xe0\x9f\xbf\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xed\xa0\x80\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xf0\x8f\xbf\xbf\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xf5\x80\x80\x80\"", 1, "", "a string that is not UTF-8" },
		{ "\"\xe2\x82\"", 1, "", "a string that is not UTF-8" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(config_json, values_know_their_line)
{
	static const char text[] = "\n{\n\"a\": [1,\n2,\n\n{\"b\":\n3}\n],\"c\"\n:\nnull}";
	struct json_fault fault;
	cJSON *json = NULL;

	cr_assert_eq(json_read(text, strlen(text), &json, &fault), 0);

	const cJSON *a = cJSON_GetObjectItem(json, "a"), *object = cJSON_GetArrayItem(a, 2);

	cr_expect_eq(json_line(json), 2);
	cr_expect_eq(json_line(a), 3, "a key's line is its value's");
	cr_expect_eq(json_line(cJSON_GetArrayItem(a, 0)), 3);
	cr_expect_eq(json_line(cJSON_GetArrayItem(a, 1)), 4);
	cr_expect_eq(json_line(object), 6);
	cr_expect_eq(json_line(cJSON_GetObjectItem(object, "b")), 6);
	cr_expect_eq(json_line(cJSON_GetObjectItem(json, "c")), 8);
	cr_expect_eq(cJSON_GetArrayItem(a, 1)->valuedouble, 2);
	cJSON_Delete(json);
}

Test(config_json, paths_are_cut_off_and_harmless)
{
	struct json_path path = { 0 };
	char key[200];

	memset(key, 'k', sizeof(key));
	cr_expect_eq(json_path_add_key(&path, "a\x1b b", 4), 0);
	cr_expect_str_eq(path.text, "\"a\\x1b b\"");
	cr_expect_eq(json_path_add_index(&path, 12), 9);
	cr_expect_str_eq(path.text, "\"a\\x1b b\"[12]");
	json_path_cut(&path, 9);
	cr_expect_str_eq(path.text, "\"a\\x1b b\"");
	for (int i = 0; i < 10; i++)
		json_path_add_key(&path, key, sizeof(key));
	cr_expect_lt(strlen(path.text), sizeof(path.text));
	cr_expect_eq(strlen(path.text), path.length);
	json_path_cut(&path, 0);
	cr_expect_str_eq(path.text, "");
}
