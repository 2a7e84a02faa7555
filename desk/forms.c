// SPDX-License-Identifier: BSD-2-Clause
#include "forms.h"

#include <ctype.h>
#include <string.h>

#include "base/address.h"
#include "base/timestamp.h"

#define CASE_MAX 64U
#define LETTERS	 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

bool form_zone_valid(const char *zone)
{
	size_t n = strlen(zone);

	return n >= 1 && n <= 63 && strspn(zone, LETTERS "+-:/_") == n;
}

bool form_record_valid(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits < 20 && text[digits] == '.' && strlen(text + digits + 1) == 64 &&
	       strspn(text + digits + 1, "0123456789abcdef") == 64;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

size_t form_lines(const char *text, size_t size)
{
	size_t n = 0;
	bool empty = true;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n')
			empty = true;
		else if (!blank(text[i]) && empty) {
			empty = false;
			n++;
		}
	}
	return n;
}

/* Takes a word and the blanks around it from the text. False: there is none, or no room for it. */
static bool take_word(const char **text, const char *end, char *ret, size_t room)
{
	const char *at = *text, *begin;

	while (at < end && blank(*at))
		at++;
	begin = at;
	while (at < end && !blank(*at))
		at++;
	if (at == begin || (size_t)(at - begin) >= room || memchr(begin, '\0', (size_t)(at - begin)))
		return false;
	memcpy(ret, begin, (size_t)(at - begin));
	ret[at - begin] = '\0';
	while (at < end && blank(*at))
		at++;
	*text = at;
	return true;
}

bool form_case_valid(const char *text)
{
	size_t n = strlen(text);

	return n <= CASE_MAX && isalnum((unsigned char)*text) && strspn(text, LETTERS "._-") == n;
}

bool form_time_valid(const char *text)
{
	int64_t t;

	return !time_parse(text, &t) && strlen(text) > 10 && strpbrk(text + 10, "Zz+-");
}

bool form_evidence_read(const char *text, size_t size, struct form_evidence *ret)
{
	struct form_evidence e;
	struct endpoint out;
	const char *end = text + size;

	while (end > text && (blank(end[-1]) || end[-1] == '\n'))
		end--;
	if (!take_word(&text, end, e.name, sizeof(e.name)) || !take_word(&text, end, e.at, sizeof(e.at)) ||
	    !take_word(&text, end, e.endpoint, sizeof(e.endpoint)) || text != end || !form_case_valid(e.name) ||
	    !form_time_valid(e.at) || endpoint_parse(e.endpoint, &out))
		return false;
	*ret = e;
	return true;
}
