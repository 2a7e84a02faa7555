// SPDX-License-Identifier: BSD-2-Clause
#include "traffic/scan.h"

#include <ctype.h>
#include <strings.h>
#include <time.h>

bool scan_word(const char **at, struct span_text *ret)
{
	const char *p = *at;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return false;
	ret->at = p;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	ret->size = (size_t)(p - ret->at);
	*at = p;
	return true;
}

bool scan_value(struct span_text word, const char *key, struct span_text *ret)
{
	size_t n = strlen(key);

	if (word.size <= n || memcmp(word.at, key, n) || word.at[n] != '=')
		return false;
	*ret = (struct span_text){ word.at + n + 1, word.size - n - 1 };
	return true;
}

bool scan_number(struct span_text s, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (!s.size || s.size > 19)
		return false;
	for (size_t i = 0; i < s.size; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	}
	if (n > max)
		return false;
	*ret = n;
	return true;
}

bool scan_addr(struct span_text s, uint32_t *ret)
{
	uint32_t addr = 0;
	size_t i = 0;

	for (unsigned octet = 0; octet < 4; octet++) {
		size_t from = i;
		uint64_t n;

		while (i < s.size && s.at[i] >= '0' && s.at[i] <= '9')
			i++;
		if (i - from > 3 || !scan_number((struct span_text){ s.at + from, i - from }, 255, &n))
			return false;
		addr = addr << 8 | (uint32_t)n;
		if (octet < 3 && (i >= s.size || s.at[i++] != '.'))
			return false;
	}
	if (i != s.size)
		return false;
	*ret = addr;
	return true;
}

bool scan_endpoint(struct span_text s, uint32_t *ret_addr, uint16_t *ret_port)
{
	const char *colon = s.size ? memchr(s.at, ':', s.size) : NULL;
	uint64_t port;

	if (!colon ||
	    !scan_number((struct span_text){ colon + 1, s.size - (size_t)(colon + 1 - s.at) }, 65535, &port) ||
	    !scan_addr((struct span_text){ s.at, (size_t)(colon - s.at) }, ret_addr))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* Takes `digits` digits and, unless it is 0, the character after them. */
static bool take(const char **at, const char *end, unsigned digits, const char *after, int *ret)
{
	uint64_t n;

	if (end - *at < (ptrdiff_t)digits || !scan_number((struct span_text){ *at, digits }, 9999, &n))
		return false;
	*at += digits;
	*ret = (int)n;
	if (!after)
		return true;
	if (*at == end || !**at || !strchr(after, **at))
		return false;
	++*at;
	return true;
}

/* The fraction of a second in milliseconds, if there is one. */
static bool take_fraction(const char **at, const char *end, int64_t *ret_ms)
{
	int64_t ms = 0, unit = 100;

	*ret_ms = 0;
	if (*at == end || (**at != '.' && **at != ','))
		return true;
	++*at;
	if (*at == end)
		return false;
	for (; *at != end && isdigit((unsigned char)**at); ++*at, unit /= 10)
		ms += (**at - '0') * unit;
	*ret_ms = ms;
	return true;
}

static bool take_zone(const char **at, const char *end, int64_t *ret_s, bool *ret_naive)
{
	int sign, hours, minutes;

	*ret_s = 0;
	*ret_naive = *at == end;
	if (*ret_naive)
		return true;
	if (**at == 'Z' || **at == 'z') {
		++*at;
		return true;
	}
	if (**at != '+' && **at != '-')
		return false;
	sign = *(*at)++ == '-' ? -1 : 1;
	if (!take(at, end, 2, NULL, &hours))
		return false;
	if (*at != end && **at == ':')
		++*at;
	if (!take(at, end, 2, NULL, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_s = sign * (hours * 3600L + minutes * 60L);
	return true;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool scan_date(const char *at, const char *end, int64_t *ret_ms, bool *ret_naive)
{
	int year, month, day, hour, minute, second;
	int64_t ms, zone;

	if (!take(&at, end, 4, "-", &year) || !take(&at, end, 2, "-", &month) || !take(&at, end, 2, "Tt ", &day) ||
	    !take(&at, end, 2, ":", &hour) || !take(&at, end, 2, ":", &minute) || !take(&at, end, 2, NULL, &second) ||
	    !take_fraction(&at, end, &ms) || !take_zone(&at, end, &zone, ret_naive) || at != end)
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	*ret_ms = (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - zone) * 1000 + ms;
	return true;
}

bool scan_time(struct span_text s, int64_t *ret_ms, bool *ret_naive)
{
	const char *at = s.at, *end = s.at + s.size;
	uint64_t seconds;
	int64_t ms;

	if (s.size > 10 && s.at[4] == '-')
		return scan_date(at, end, ret_ms, ret_naive);
	while (at != end && isdigit((unsigned char)*at))
		at++;
	/* Up to the year 9999. */
	if (!scan_number((struct span_text){ s.at, (size_t)(at - s.at) }, 253402300799ULL, &seconds) ||
	    !take_fraction(&at, end, &ms) || at != end)
		return false;
	*ret_naive = false;
	*ret_ms = (int64_t)seconds * 1000 + ms;
	return true;
}

int scan_proto(struct span_text s)
{
	static const struct {
		const char *name;
		int proto;
	} names[] = { { "tcp", 6 }, { "udp", 17 }, { "icmp", 1 } };
	uint64_t n;

	if (scan_number(s, 255, &n))
		return n == 6 || n == 17 || n == 1 ? (int)n : 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (s.size == strlen(names[i].name) && !strncasecmp(s.at, names[i].name, s.size))
			return names[i].proto;
	if (!s.size || !isalpha((unsigned char)s.at[0]))
		return -1;
	for (size_t i = 0; i < s.size; i++)
		if (!isalnum((unsigned char)s.at[i]) && s.at[i] != '-')
			return -1;
	return 0;
}
