// SPDX-License-Identifier: BSD-2-Clause
/* Character sets of complaints. What is in none that is known is not read, and never guessed. */
#include <iconv.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_octets.h"

/* Octets at the begin of a text that tell its character set. */
#define GUESSED 256

/* 0x80 to 0x9f of windows-1252; from there on it is ISO 8859-1. */
static const uint16_t windows_1252[] = { 0x20ac, 0x81,	 0x201a, 0x192,	 0x201e, 0x2026, 0x2020, 0x2021,
					 0x2c6,	 0x2030, 0x160,	 0x2039, 0x152,	 0x8d,	 0x17d,	 0x8f,
					 0x90,	 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
					 0x2dc,	 0x2122, 0x161,	 0x203a, 0x153,	 0x9d,	 0x17e,	 0x178 };

static uint32_t western(uint8_t octet)
{
	return octet >= 0x80 && octet < 0xa0 ? windows_1252[octet - 0x80] : octet;
}

/* Fills the table of a character set of one octet each; false: the C library does not know it. */
static bool fill(const char *name, uint16_t high[static 128])
{
	iconv_t cd = iconv_open("UTF-16LE", name);

	if (cd == (iconv_t)-1)
		return false;
	for (unsigned i = 0; i < 128; i++) {
		char octet = (char)(i + 0x80), wide[4], *in = &octet, *out = wide;
		size_t in_left = 1, out_left = sizeof(wide);

		iconv(cd, NULL, NULL, NULL, NULL);
		high[i] = '?';
		if (iconv(cd, &in, &in_left, &out, &out_left) != (size_t)-1 && out == wide + 2)
			high[i] = (uint16_t)((uint8_t)wide[0] | (uint8_t)wide[1] << 8);
	}
	iconv_close(cd);
	return true;
}

/* Whether a name begins so and ends with a number of one or two digits. */
static bool numbered(const char *name, const char *begin)
{
	size_t n = strlen(begin), digits = strncasecmp(name, begin, n) != 0 ? 0 : strspn(name + n, "0123456789");

	return digits && digits < 3 && !name[n + digits];
}

static bool is_one(const char *name, const char *const *names)
{
	while (*names && strcasecmp(name, *names) != 0)
		names++;
	return *names != NULL;
}

void charset_find(const char *name, struct charset *ret)
{
	static const char *const utf8[] = { "",	       "utf-8",	  "utf8",	  "us-ascii",  "ascii",
					    "default", "unknown", "unknown-8bit", "x-unknown", NULL };
	static const char *const western_names[] = {
		"iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252", NULL
	};
	static const char *const wide[] = { "utf-16", "utf-16le", "utf-16be", "utf16", "unicode", NULL };
	/* No others: what decodes rarer ones in the C library need not meet strangers' octets. */
	static const char *const single[] = { "koi8-r", "koi8-u", "macintosh", "cp850", "cp437", "cp866", NULL };

	*ret = (struct charset){ .kind = CHARSET_UNKNOWN };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (is_one(name, utf8)) {
		ret->kind = CHARSET_UTF8;
	} else if (is_one(name, wide)) {
		ret->kind = CHARSET_UTF16;
	} else if (is_one(name, western_names)) {
		ret->kind = CHARSET_SINGLE;
		for (unsigned i = 0; i < 128; i++)
			ret->high[i] = (uint16_t)western((uint8_t)(i + 0x80));
	} else if (numbered(name, "iso-8859-") || numbered(name, "windows-12") || numbered(name, "cp12") ||
		   is_one(name, single)) {
		ret->kind = fill(name, ret->high) ? CHARSET_SINGLE : CHARSET_UNKNOWN;
	}
}

/* Counts the NULs among the first octets in the places of the higher and of the lower half of 16 bits. */
static size_t count_nuls(const struct span *s, unsigned half, size_t *ret_of)
{
	size_t n = 0, size = (size_t)(s->end - s->text) < GUESSED ? (size_t)(s->end - s->text) : GUESSED;

	*ret_of = size / 2;
	for (size_t i = half; i + 1 - half < size; i += 2)
		n += !s->text[i];
	return n;
}

/* The order of octets: 1 the higher first, 0 the lower first, -1: these are not of 16 bits. */
static int wide_order(const struct span *s)
{
	size_t of, first = count_nuls(s, 0, &of), second = count_nuls(s, 1, &of);

	if (s->end - s->text < 2)
		return -1;
	if (!memcmp(s->text, "\xff\xfe", 2))
		return 0;
	if (!memcmp(s->text, "\xfe\xff", 2))
		return 1;
	if (of < 4 || (first > of / 8 && second > of / 8))
		return -1;
	return second > of / 2 ? 0 : first > of / 2 ? 1 : -1;
}

bool charset_wide(const struct span *s)
{
	return wide_order(s) >= 0;
}

static void put_code(struct octets *out, uint32_t code, uint32_t from)
{
	if (code < 0x80) {
		octet_put(out, (char)code, from);
	} else if (code < 0x800) {
		octet_put(out, (char)(0xc0 | code >> 6), from);
		octet_put(out, (char)(0x80 | (code & 63)), from);
	} else {
		if (code >= 0x10000)
			octet_put(out, (char)(0xf0 | code >> 18), from);
		octet_put(out, (char)(code >= 0x10000 ? 0x80 | (code >> 12 & 63) : 0xe0 | code >> 12), from);
		octet_put(out, (char)(0x80 | (code >> 6 & 63)), from);
		octet_put(out, (char)(0x80 | (code & 63)), from);
	}
}

/* The character at a place of UTF-8, whose octets are *ret_size; a wrong octet is one of windows-1252. */
static uint32_t utf8_code(const char *at, const char *end, unsigned *ret_size)
{
	uint8_t first = (uint8_t)*at;
	unsigned n = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 ? 2 : 1;
	uint32_t code = n == 1 ? first : first & (0x7fU >> n);

	*ret_size = 1;
	if (n == 1 || first >= 0xf5 || end - at < (ptrdiff_t)n)
		return western(first);
	for (unsigned i = 1; i < n; i++) {
		if (((uint8_t)at[i] & 0xc0) != 0x80)
			return western(first);
		code = code << 6 | ((uint8_t)at[i] & 63);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)) || (code >> 11) == 0x1b)
		return western(first);
	*ret_size = n;
	return code;
}

bool octets_invisible(uint32_t code)
{
	return code == 0xad || (code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

/* A character as the one of ASCII that means the same, or itself. */
static uint32_t plain(uint32_t code)
{
	/* Of Arabic, Persian and Hindi. */
	static const uint32_t zeros[] = { 0x660, 0x6f0, 0x966 };

	if (code >= 0xff01 && code <= 0xff5e) /* as wide as a sign of Chinese */
		return code - 0xff01 + '!';
	if (code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x202f || code == 0x205f || code == 0x3000)
		return ' ';
	for (unsigned i = 0; i < ARRAY_SIZE(zeros); i++)
		if (code - zeros[i] < 10)
			return code - zeros[i] + '0';
	if (code == 0x2028 || code == 0x2029)
		return '\n';
	if (code == 0x2010 || code == 0x2011 || code == 0x2212)
		return '-';
	return code == 0x2236 ? ':' : code == 0x2024 ? '.' : code < ' ' && code != '\t' && code != '\n' ? ' ' : code;
}

/* Octets of a dot or a colon that keeps an address from being clicked; 0: it is none. */
static size_t armed(const char *at, const char *end, char *ret)
{
	static const char *const signs[] = { "[.]", "(.)", "[dot]", "(dot)", "{.}", "[:]" };

	for (size_t k = 0; k < ARRAY_SIZE(signs); k++) {
		*ret = signs[k][1] == ':' ? ':' : '.';
		if ((size_t)(end - at) >= strlen(signs[k]) && !strncasecmp(at, signs[k], strlen(signs[k])))
			return strlen(signs[k]);
	}
	return 0;
}

/* One character; a carriage return is a line's end unless a line feed follows. */
static const char *put_one(const struct span *s, const char *at, uint32_t code, unsigned size, struct octets *out)
{
	uint32_t from = span_from(s, at);
	size_t dot;
	char sign;

	if (code == '\r') {
		if (at + 1 >= s->end || at[1] != '\n')
			octet_put(out, '\n', from);
		return at + 1;
	}
	/* What is shown from right to left has other numbers than what is written. */
	if (code == 0x202e || code == 0x202c || code == '\n')
		out->turned = code == 0x202e;
	dot = code == '[' || code == '(' || code == '{' ? armed(at, s->end, &sign) : 0;
	if (dot)
		octet_put(out, sign, from);
	else if (out->turned && code >= '0' && code <= '9')
		put_code(out, 0xfffd, from);
	else if (!octets_invisible(code))
		put_code(out, plain(code), from);
	return at + (dot ? dot : size);
}

/* To UTF-8, in which the rest is done. */
static void narrow(const struct span *s, struct octets *out)
{
	int big = wide_order(s) == 1;
	uint32_t high = 0;

	for (const char *at = s->text; at + 1 < s->end; at += 2) {
		uint32_t unit = (uint32_t)(uint8_t)at[!big] << 8 | (uint8_t)at[big];

		if (unit >> 10 == 0x36)
			high = unit;
		else if (unit >> 10 == 0x37 && high)
			put_code(out, 0x10000 + ((high & 0x3ff) << 10 | (unit & 0x3ff)), span_from(s, at));
		else if (unit >> 11 != 0x1b && unit != 0xfeff)
			put_code(out, unit, span_from(s, at));
	}
}

/* Whether an octet stands for itself in every text. */
static bool is_plain(char c)
{
	return ((uint8_t)c >= ' ' && (uint8_t)c < 0x80 && c != '[' && c != '(' && c != '{') || c == '\n' || c == '\t';
}

/* Octets that do. Returns their end. */
static const char *put_plain(const struct span *s, const char *at, const char *end, struct octets *out)
{
	if (!s->from)
		return octets_put(out, at, (size_t)(end - at), span_from(s, at)), end;
	for (; at < end; at++)
		octet_put(out, *at, span_from(s, at));
	return at;
}

void octets_text(const struct span *s, const struct charset *set, struct octets *out)
{
	_cleanup_octets_ struct octets wide = { 0 };
	struct span own = *s;
	unsigned size;

	if (set->kind == CHARSET_UTF16) {
		narrow(s, &wide);
		own = octets_span(&wide);
		out->failed |= wide.failed;
	}
	for (const char *at = own.text; at < own.end && !out->failed;) {
		const char *plain_end = at;
		uint32_t code;

		/* Most are what they are. */
		while (plain_end < own.end && is_plain(*plain_end) && !out->turned)
			plain_end++;
		at = put_plain(&own, at, plain_end, out);
		if (at == own.end)
			break;
		size = 1;
		code = (uint8_t)*at;
		if (code >= 0x80)
			code = set->kind == CHARSET_SINGLE ? set->high[code - 0x80] : utf8_code(at, own.end, &size);
		at = put_one(&own, at, code, size, out);
	}
}
