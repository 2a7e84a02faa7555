/* SPDX-License-Identifier: BSD-2-Clause */
/* The attributes of an Accounting-Request that name the customer of an address. */
#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "radius.h"
#include "radius_attributes.h"

/* The ADSL Forum's Agent-Circuit-Id (RFC 4679 section 3.3.1). */
#define VENDOR_ADSL_FORUM 3561U
#define AGENT_CIRCUIT_ID  1U

/* Octets that the value of a type has: RFC 2865, 2866, 2869, 3162, 4818. */
struct length {
	uint8_t type, least, most;
};

#define ANY_TEXT 1, 253 /* without text, the attribute is to be left out */
#define NUMBER	 4, 4

static const struct length lengths[] = {
	{ ATTRIBUTE_USER_NAME, ANY_TEXT },
	{ ATTRIBUTE_NAS_IP_ADDRESS, NUMBER },
	{ 5, NUMBER }, /* NAS-Port */
	{ 6, NUMBER }, /* Service-Type */
	{ 7, NUMBER }, /* Framed-Protocol */
	{ ATTRIBUTE_FRAMED_IP_ADDRESS, NUMBER },
	{ 9, NUMBER },	/* Framed-IP-Netmask */
	{ 12, NUMBER }, /* Framed-MTU */
	{ ATTRIBUTE_VENDOR_SPECIFIC, 5, 253 },
	{ 27, NUMBER }, /* Session-Timeout */
	{ 28, NUMBER }, /* Idle-Timeout */
	{ ATTRIBUTE_CALLING_STATION_ID, ANY_TEXT },
	{ ATTRIBUTE_NAS_IDENTIFIER, ANY_TEXT },
	{ ATTRIBUTE_ACCT_STATUS_TYPE, NUMBER },
	{ ATTRIBUTE_ACCT_DELAY_TIME, NUMBER },
	{ 42, NUMBER }, /* Acct-Input-Octets */
	{ 43, NUMBER }, /* Acct-Output-Octets */
	{ ATTRIBUTE_ACCT_SESSION_ID, ANY_TEXT },
	{ 45, NUMBER }, /* Acct-Authentic */
	{ ATTRIBUTE_ACCT_SESSION_TIME, NUMBER },
	{ 47, NUMBER }, /* Acct-Input-Packets */
	{ 48, NUMBER }, /* Acct-Output-Packets */
	{ 49, NUMBER }, /* Acct-Terminate-Cause */
	{ 51, NUMBER }, /* Acct-Link-Count */
	{ 52, NUMBER }, /* Acct-Input-Gigawords */
	{ 53, NUMBER }, /* Acct-Output-Gigawords */
	{ 55, NUMBER }, /* Event-Timestamp */
	{ 61, NUMBER }, /* NAS-Port-Type */
	{ ATTRIBUTE_MESSAGE_AUTHENTICATOR, 16, 16 },
	{ ATTRIBUTE_ACCT_INTERIM_INTERVAL, NUMBER },
	{ ATTRIBUTE_NAS_PORT_ID, ANY_TEXT },
	{ ATTRIBUTE_NAS_IPV6_ADDRESS, 16, 16 },
	{ 96, 8, 8 }, /* Framed-Interface-Id */
	{ ATTRIBUTE_FRAMED_IPV6_PREFIX, 2, 18 },
	{ ATTRIBUTE_DELEGATED_IPV6_PREFIX, 2, 18 },
};

static bool is_prefix_of(const struct radius_attribute *a)
{
	return a->value[1] <= 128 && (a->size - 2) * 8 >= a->value[1];
}

static bool length_fits(const struct radius_attribute *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		if (lengths[i].type == a->type && (a->size < lengths[i].least || a->size > lengths[i].most))
			return false;
	return (a->type != ATTRIBUTE_FRAMED_IPV6_PREFIX && a->type != ATTRIBUTE_DELEGATED_IPV6_PREFIX) ||
	       is_prefix_of(a);
}

bool radius_lengths_fit(const uint8_t *packet, size_t size)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	while (radius_attribute_next(packet, size, &at, &a))
		if (!length_fits(&a))
			return false;
	return true;
}

static void take_text(char ret[static LEASE_ID], const struct radius_attribute *a)
{
	text_keep(ret, LEASE_ID, (const char *)a->value, a->size);
}

/* An address by which a server is called. */
static void take_server(char ret[static LEASE_ID], int family, const struct radius_attribute *a)
{
	if (a->size == (family == AF_INET ? 4U : 16U))
		inet_ntop(family, a->value, ret, LEASE_ID);
}

/* Addresses that mean "the server or the user chooses" (RFC 2865 section 5.8) are none. */
static void take_address(struct lease_addr *ret, const struct radius_attribute *a)
{
	uint32_t addr = radius_attribute_number(a);

	if (addr && addr < 0xfffffffe)
		*ret = lease_addr_of(addr);
}

/* A reserved octet, the length, and as many octets of the prefix as there are (RFC 3162 section 2.3, RFC 4818). */
static void take_prefix(struct lease_addr *ret, const struct radius_attribute *a)
{
	struct lease_addr prefix = { 0 };

	if (a->size < 2 || a->size > 18 || !a->value[1] || a->value[1] > 128 || (a->size - 2) * 8 < a->value[1])
		return;
	prefix.plen = a->value[1];
	memcpy(prefix.octet, a->value + 2, a->size - 2);
	for (unsigned bit = prefix.plen; bit < 128; bit++)
		prefix.octet[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	*ret = prefix;
}

/* The attributes in a Vendor-Specific one. */
static void take_vendor(struct accounting *ret, const struct radius_attribute *a)
{
	const struct radius_attribute vendor = { .value = a->value, .size = 4 };
	struct radius_attribute own;
	size_t at = 4;

	if (a->size < 4 || radius_attribute_number(&vendor) != VENDOR_ADSL_FORUM)
		return;
	while (radius_attribute_find(a->value, a->size, AGENT_CIRCUIT_ID, &at, &own))
		take_text(ret->circuit, &own);
}

/* Names of a server, the best of which is its IPv4 address. */
struct names {
	char ipv4[LEASE_ID], ipv6[LEASE_ID], identifier[LEASE_ID];
};

static void take_name(struct names *n, const struct radius_attribute *a)
{
	if (a->type == ATTRIBUTE_NAS_IP_ADDRESS)
		take_server(n->ipv4, AF_INET, a);
	else if (a->type == ATTRIBUTE_NAS_IPV6_ADDRESS)
		take_server(n->ipv6, AF_INET6, a);
	else if (a->type == ATTRIBUTE_NAS_IDENTIFIER)
		take_text(n->identifier, a);
}

static void take(struct accounting *ret, const struct radius_attribute *a)
{
	switch (a->type) {
	case ATTRIBUTE_USER_NAME:
		return take_text(ret->user, a);
	case ATTRIBUTE_CALLING_STATION_ID:
		return take_text(ret->calling, a);
	case ATTRIBUTE_ACCT_SESSION_ID:
		return take_text(ret->session, a);
	case ATTRIBUTE_NAS_PORT_ID:
		return take_text(ret->port, a);
	case ATTRIBUTE_VENDOR_SPECIFIC:
		return take_vendor(ret, a);
	case ATTRIBUTE_FRAMED_IP_ADDRESS:
		return take_address(&ret->address, a);
	case ATTRIBUTE_FRAMED_IPV6_PREFIX:
		return take_prefix(&ret->framed, a);
	case ATTRIBUTE_DELEGATED_IPV6_PREFIX:
		return take_prefix(&ret->delegated, a);
	case ATTRIBUTE_ACCT_STATUS_TYPE:
		ret->status = radius_attribute_number(a);
		break;
	case ATTRIBUTE_ACCT_DELAY_TIME:
		ret->delay = radius_attribute_number(a);
		break;
	case ATTRIBUTE_ACCT_SESSION_TIME:
		ret->session_time = radius_attribute_number(a);
		break;
	case ATTRIBUTE_ACCT_INTERIM_INTERVAL:
		ret->interval = radius_attribute_number(a);
		break;
	}
}

void radius_read(const uint8_t *packet, size_t size, const char *from, struct accounting *ret)
{
	struct names n = { 0 };
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	*ret = (struct accounting){ 0 };
	while (radius_attribute_next(packet, size, &at, &a)) {
		take(ret, &a);
		take_name(&n, &a);
	}
	snprintf(ret->server, sizeof(ret->server), "%.255s",
		 *n.ipv4	 ? n.ipv4
		 : *n.identifier ? n.identifier
		 : *n.ipv6	 ? n.ipv6
				 : from);
}
