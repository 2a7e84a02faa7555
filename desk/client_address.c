// SPDX-License-Identifier: BSD-2-Clause
#include "client_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A network of 64 bits, or an address of IPv4 that is written as one of IPv6. */
static void network_of(struct in6_addr addr, char ret[static CLIENT_TEXT])
{
	char text[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(&addr)) {
		inet_ntop(AF_INET, &addr.s6_addr[12], ret, CLIENT_TEXT);
		return;
	}
	memset(&addr.s6_addr[8], 0, 8);
	inet_ntop(AF_INET6, &addr, text, sizeof(text));
	snprintf(ret, CLIENT_TEXT, "%s/64", text);
}

void client_address(const char *forwarded, char ret[static CLIENT_TEXT])
{
	const char *comma = strrchr(forwarded, ','), *at = comma ? comma + 1 : forwarded;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;

	at += strspn(at, " \t");
	*ret = '\0';
	if (snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, " \t"), at) >= (int)sizeof(text))
		return;
	if (inet_pton(AF_INET, text, &four) == 1)
		inet_ntop(AF_INET, &four, ret, CLIENT_TEXT);
	else if (inet_pton(AF_INET6, text, &six) == 1)
		network_of(six, ret);
}
