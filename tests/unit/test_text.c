/* SPDX-License-Identifier: BSD-2-Clause */
/* What shows itself, and how everything else is written. */
#include <criterion/criterion.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"

#define ALISA "\xd0\x90\xd0\xbb\xd0\xb8\xd1\x81\xd0\xb0"
#define RLO   "\xe2\x80\xae"
#define ZWSP  "\xe2\x80\x8b"
#define ACUTE "\xcc\x81"

static const struct {
	const char *text, *escaped, *quoted;
	bool plain;
} rows[] = {
	{ "alice", "alice", "\"alice\"", true },
	{ "", "", "\"\"", false },
	{ "a b", "a b", "\"a b\"", true },
	{ "a  b", "a  b", "\"a  b\"", false },
	{ " a", " a", "\" a\"", false },
	{ "a ", "a ", "\"a \"", false },
	{ "say \"hi\"", "say \"hi\"", "\"say \\\"hi\\\"\"", false },
	{ "DOMAIN\\user", "DOMAIN\\user", "\"DOMAIN\\\\user\"", false },
	{ "alice\", MAC \"x", "alice\", MAC \"x", "\"alice\\\", MAC \\\"x\"", false },
	{ ALISA, ALISA, "\"" ALISA "\"", true },
	{ "\xe5\xb1\xb1\xe7\x94\xb0", "\xe5\xb1\xb1\xe7\x94\xb0", "\"\xe5\xb1\xb1\xe7\x94\xb0\"", true },
	{ "e" ACUTE, "e" ACUTE, "\"e" ACUTE "\"", true },
	{ ACUTE "e", ACUTE "e", "\"\\u{301}e\"", false },
	{ "\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82", "\"\xf0\x9f\x99\x82\"", true },
	{ "a" RLO "b", "a\\u{202E}b", "\"a\\u{202E}b\"", false },
	{ "al" ZWSP "ice", "al\\u{200B}ice", "\"al\\u{200B}ice\"", false },
	{ "\x1b[2J\x07", "\\x1b[2J\\x07", "\"\\x1b[2J\\x07\"", false },
	{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f", "\"a\\x0ab\\x09c\\x7f\"", false },
	{ "\xc2\x9b"
	  "2J",
	  "\\u{9B}2J", "\"\\u{9B}2J\"", false },			     /* C1's CSI */
	{ "m\xfcller", "m\\xfcller", "\"m\\xfcller\"", false },		     /* Latin-1 */
	{ "\xc0\xaf", "\\xc0\\xaf", "\"\\xc0\\xaf\"", false },		     /* overlong */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\"\\xed\\xa0\\x80\"", false }, /* a surrogate */
	{ "\xd0", "\\xd0", "\"\\xd0\"", false },			     /* cut */
	{ "\xe2\x80\xa8", "\\u{2028}", "\"\\u{2028}\"", false },	     /* line separator */
	{ "\xef\xbb\xbf", "\\u{FEFF}", "\"\\u{FEFF}\"", false },	     /* byte order mark */
	{ "\xc2\xa0", "\\u{A0}", "\"\\u{A0}\"", false },		     /* a blank that is none */
	{ "\xee\x80\x80", "\\u{E000}", "\"\\u{E000}\"", false },	     /* private use */
	{ "\xef\xb8\x8f", "\\u{FE0F}", "\"\\u{FE0F}\"", false },	     /* variation selector */
	{ "\xef\xbf\xbf", "\\u{FFFF}", "\"\\u{FFFF}\"", false },	     /* noncharacter */
	{ "\xf3\xa0\x81\x81", "\\u{E0041}", "\"\\u{E0041}\"", false },	     /* tag */
	{ "\xf4\x8f\xbf\xbf", "\\u{10FFFF}", "\"\\u{10FFFF}\"", false },
};

Test(text, what_does_not_show_itself_is_escaped_and_quotes_end_where_they_end)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t size = strlen(rows[i].text);
		char ret[TEXT_ROOM(32)];

		cr_expect_eq(text_escape(ret, sizeof(ret), rows[i].text, size), strlen(rows[i].escaped));
		cr_expect_str_eq(ret, rows[i].escaped);
		cr_expect_eq(text_quote(ret, sizeof(ret), rows[i].text, size), strlen(rows[i].quoted));
		cr_expect_str_eq(ret, rows[i].quoted);
		cr_expect_eq(text_plain(rows[i].text), rows[i].plain, "%s", rows[i].quoted);
	}
}

Test(text, a_stream_and_memory_get_the_same)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL, *escaped = text_escaped(rows[i].text, strlen(rows[i].text));
		size_t size;
		FILE *out = open_memstream(&text, &size);

		text_print(out, rows[i].text, strlen(rows[i].text));
		fclose(out);
		cr_expect_str_eq(text, rows[i].escaped);
		cr_expect_str_eq(escaped, rows[i].escaped);
	}
}

Test(text, every_character_shows_or_has_an_escape_of_ascii)
{
	for (uint32_t c = 1; c < 0x80; c++)
		cr_expect_eq(text_shows(c), c >= ' ' && c < 0x7f, "%u", c);
	for (uint32_t c = 0x40000; c < 0x110000; c++)
		cr_expect_not(text_shows(c));
	cr_expect(text_shows(0x628) && text_shows(0x915) && text_shows(0x1f642) && text_shows(0x3abcd - 0x10000));
}

/* As JSON has them: the value is the same. What is no UTF-8 is no JSON, either. */
static const struct {
	const char *text, *printed, *value;
} json[] = {
	{ "a\xc3\xa4", "\"a\xc3\xa4\"", "a\xc3\xa4" },
	{ "\"\\", "\"\\\"\\\\\"", "\"\\" },
	{ "\x1b[2J\n", "\"\\u001b[2J\\u000a\"", "\x1b[2J\n" },
	{ "a" RLO, "\"a\\u202e\"", "a" RLO },
	{ "\xc2\x9b", "\"\\u009b\"", "\xc2\x9b" },
	{ "\xf3\xa0\x81\x81", "\"\\udb40\\udc41\"", "\xf3\xa0\x81\x81" },
	{ "m\xfc", "\"m\\\\xfc\"", "m\\xfc" },
};

Test(text, json_has_no_octet_that_drives_a_terminal_and_the_same_values)
{
	for (size_t i = 0; i < ARRAY_SIZE(json); i++) {
		_cleanup_free_ char *string = NULL, *printed = NULL;
		size_t size;
		FILE *out = open_memstream(&string, &size);
		cJSON *parsed;

		text_json_string(out, json[i].text);
		fclose(out);
		out = open_memstream(&printed, &size);
		text_print_json(out, string, strlen(string));
		fclose(out);
		cr_expect_str_eq(printed, json[i].printed);
		parsed = cJSON_Parse(printed);
		cr_expect_str_eq(cJSON_GetStringValue(parsed), json[i].value);
		cJSON_Delete(parsed);
	}
}

Test(text, the_layout_of_a_document_stays)
{
	_cleanup_free_ char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);

	text_print_json(out, "{\n\t\"a\": 1\n}\x1b", 12);
	fclose(out);
	cr_expect_str_eq(printed, "{\n\t\"a\": 1\n}\\u001b");
}

Test(text, what_is_too_long_is_cut_between_characters_and_says_so)
{
	char small[12], quoted[QUOTED_ROOM];

	cr_expect_eq(text_escape(small, sizeof(small), "abcdef" RLO, 9), 6);
	cr_expect_str_eq(small, "abcdef");
	cr_expect_eq(text_quote(small, sizeof(small), "abcdef\xc3\xa4", 8), 11);
	cr_expect_str_eq(small, "\"abcdef\"...");
	cr_expect_eq(text_quote(small, sizeof(small), "abcdef", 6), 8);
	cr_expect_str_eq(small, "\"abcdef\"");
	memset(quoted, 'x', sizeof(quoted) - 1);
	quoted[sizeof(quoted) - 1] = '\0';
	cr_expect_eq(strlen(QUOTED(quoted)), QUOTED_ROOM - 1);
	cr_expect_str_eq(QUOTED("a\"b"), "\"a\\\"b\"");
}

Test(text, a_value_keeps_all_but_what_no_value_may_have)
{
	char text[32];

	text_keep(text, sizeof(text), "a\n\x1b[\xff\0", 6);
	cr_expect_str_eq(text, "a\\x0a\\x1b[\\xff\\x00");
	cr_expect(text_printable(text));
	text_keep(text, sizeof(text), "al" ZWSP "ice" RLO, 11);
	cr_expect_str_eq(text, "al" ZWSP "ice" RLO);
	text_keep(text, 8, "abcdef\xc3\xa4", 8);
	cr_expect_str_eq(text, "abcdef");
	text_keep(text, 8, "abcde\xc3\xa4x", 8);
	cr_expect_str_eq(text, "abcde\xc3\xa4");
}
