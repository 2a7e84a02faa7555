// SPDX-License-Identifier: BSD-2-Clause
/* Addresses in a text. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "complaints/complaint_private.h"

/* Longer ones are none. */
#define IPV6_TEXT 40U

const char *addr_at(const char *at, const char *end, uint32_t *ret)
{
	uint32_t addr = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 0, value = 0;

		for (; at < end && digit_octet(*at) && n < 4; at++, n++)
			value = value * 10 + (unsigned)(*at - '0');
		/* "025" is 25 to some programs, and 21 to others. */
		if (!n || n > 3 || (n > 1 && at[-(int)n] == '0') || value > 255 ||
		    (i < 3 && (at >= end || *at++ != '.')))
			return NULL;
		addr = addr << 8 | value;
	}
	*ret = addr;
	return at;
}

/* Whether what begins at a place may be an address of IPv6: most words are none. */
static bool may_be_ipv6(const char *at, const char *end)
{
	unsigned n = 0;

	while (n < 5 && at + n < end && isxdigit((unsigned char)at[n]))
		n++;
	return n < 5 && at + n + 1 < end && at[n] == ':' &&
	       (at[n + 1] == ':' || (n && isxdigit((unsigned char)at[n + 1])));
}

const char *addr_ipv6_at(const char *at, const char *end)
{
	struct in6_addr any;
	char text[IPV6_TEXT];
	size_t n = 0;

	if (!may_be_ipv6(at, end))
		return NULL;
	while (n < IPV6_TEXT && at + n < end && (isxdigit((unsigned char)at[n]) || at[n] == ':'))
		n++;
	if (n > 3 && at[n - 1] == ':' && at[n - 2] != ':')
		n--;
	/* That of IPv4 in it is read by itself. */
	if (n < 3 || n == IPV6_TEXT || (at + n < end && (word_octet(at[n]) || at[n] == ':')))
		return NULL;
	memcpy(text, at, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &any) == 1 ? at + n : NULL;
}
