// SPDX-License-Identifier: BSD-2-Clause
/* The attributes of an Accounting-Request, as packets have them and as FreeRADIUS writes them down. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "leases/accounting.h"

/* What the value of an attribute is; its octets: RFC 2865, 2866, 2869, 3162, 4818, 6911. */
enum kind { TEXT, NUMBER, STATUS, TIME, ADDRESS, PREFIX, IPV6, SERVER_IPV4, SERVER_IPV6, VENDOR, INTERFACE_ID, DIGEST };

static const struct {
	size_t least, most;
} lengths[] = {
	/* Without text, an attribute is to be left out. */
	[TEXT] = { 1, 253 },	    [NUMBER] = { 4, 4 },   [STATUS] = { 4, 4 },	      [TIME] = { 4, 4 },
	[ADDRESS] = { 4, 4 },	    [PREFIX] = { 2, 18 },  [IPV6] = { 16, 16 },	      [SERVER_IPV4] = { 4, 4 },
	[SERVER_IPV6] = { 16, 16 }, [VENDOR] = { 5, 253 }, [INTERFACE_ID] = { 8, 8 }, [DIGEST] = { 16, 16 },
};

#define AT(member) offsetof(struct accounting, member)
#define UNUSED	   SIZE_MAX

/* type 0: is written down only, and in no packet. */
static const struct attribute {
	uint8_t type;
	enum kind kind;
	size_t at; /* of the member that it sets */
	const char *name;
} attributes[] = {
	{ 1, TEXT, AT(user), "User-Name" },
	{ 4, SERVER_IPV4, AT(name[NAME_IPV4]), "NAS-IP-Address" },
	{ 5, NUMBER, UNUSED, "NAS-Port" },
	{ 6, NUMBER, UNUSED, "Service-Type" },
	{ 7, NUMBER, UNUSED, "Framed-Protocol" },
	{ 8, ADDRESS, UNUSED, "Framed-IP-Address" },
	{ 9, NUMBER, UNUSED, "Framed-IP-Netmask" },
	{ 12, NUMBER, UNUSED, "Framed-MTU" },
	{ 26, VENDOR, UNUSED, "Vendor-Specific" },
	{ 27, NUMBER, UNUSED, "Session-Timeout" },
	{ 28, NUMBER, UNUSED, "Idle-Timeout" },
	{ 31, TEXT, AT(calling), "Calling-Station-Id" },
	{ 32, TEXT, AT(name[NAME_IDENTIFIER]), "NAS-Identifier" },
	{ 40, STATUS, UNUSED, "Acct-Status-Type" },
	{ 41, NUMBER, AT(delay), "Acct-Delay-Time" },
	{ 42, NUMBER, UNUSED, "Acct-Input-Octets" },
	{ 43, NUMBER, UNUSED, "Acct-Output-Octets" },
	{ 44, TEXT, AT(session), "Acct-Session-Id" },
	{ 45, NUMBER, UNUSED, "Acct-Authentic" },
	{ 46, NUMBER, AT(session_time), "Acct-Session-Time" },
	{ 47, NUMBER, UNUSED, "Acct-Input-Packets" },
	{ 48, NUMBER, UNUSED, "Acct-Output-Packets" },
	{ 49, NUMBER, UNUSED, "Acct-Terminate-Cause" },
	{ 51, NUMBER, UNUSED, "Acct-Link-Count" },
	{ 52, NUMBER, UNUSED, "Acct-Input-Gigawords" },
	{ 53, NUMBER, UNUSED, "Acct-Output-Gigawords" },
	{ 55, TIME, UNUSED, "Event-Timestamp" },
	{ 61, NUMBER, UNUSED, "NAS-Port-Type" },
	{ 80, DIGEST, UNUSED, "Message-Authenticator" },
	{ 85, NUMBER, AT(interval), "Acct-Interim-Interval" },
	{ 87, TEXT, AT(port), "NAS-Port-Id" },
	{ 95, SERVER_IPV6, AT(name[NAME_IPV6]), "NAS-IPv6-Address" },
	{ 96, INTERFACE_ID, UNUSED, "Framed-Interface-Id" },
	{ 97, PREFIX, UNUSED, "Framed-IPv6-Prefix" },
	{ 123, PREFIX, UNUSED, "Delegated-IPv6-Prefix" },
	{ 168, IPV6, UNUSED, "Framed-IPv6-Address" },
	{ 0, TEXT, AT(from), "Client-IP-Address" },
	{ 0, TEXT, AT(from), "Packet-Src-IP-Address" },
	{ 0, TEXT, AT(circuit), "ADSL-Agent-Circuit-Id" },
	{ 0, TEXT, AT(circuit), "Agent-Circuit-Id" },
};

static const struct attribute *of_type(uint8_t type)
{
	for (size_t i = 0; type && i < ARRAY_SIZE(attributes); i++)
		if (attributes[i].type == type)
			return &attributes[i];
	return NULL;
}

bool accounting_fits(uint8_t type, const uint8_t *value, size_t size)
{
	const struct attribute *x = of_type(type);

	if (x && (size < lengths[x->kind].least || size > lengths[x->kind].most))
		return false;
	return !x || x->kind != PREFIX || (value[1] <= 128 && (size - 2) * 8 >= value[1]);
}

/* Addresses that mean "the server or the user chooses" (RFC 2865 section 5.8) are none. */
static void add_address(struct accounting *a, const struct lease_addr *addr)
{
	uint32_t v4;

	if (lease_addr_is_ipv4(addr, &v4) && (!v4 || v4 >= 0xfffffffe))
		return;
	for (unsigned i = 0; i < a->n_addresses; i++)
		if (!memcmp(&a->address[i], addr, sizeof(*addr)))
			return;
	if (addr->plen && a->n_addresses < ACCOUNTING_ADDRESSES)
		a->address[a->n_addresses++] = *addr;
}

/* The octets of a prefix that are there, after a reserved one and the length (RFC 3162 section 2.3, RFC 4818). */
static void add_prefix(struct accounting *a, const uint8_t *octets, size_t size, uint8_t plen)
{
	struct lease_addr prefix = { .plen = plen };

	memcpy(prefix.octet, octets, size);
	lease_addr_clear_host(&prefix);
	add_address(a, &prefix);
}

static uint32_t number_of(const uint8_t *v)
{
	return (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3];
}

/* The ADSL Forum's Agent-Circuit-Id (RFC 4679 section 3.3.1). */
#define VENDOR_ADSL_FORUM 3561U
#define AGENT_CIRCUIT_ID  1U

static void take_vendor(struct accounting *a, const uint8_t *value, size_t size)
{
	if (number_of(value) != VENDOR_ADSL_FORUM)
		return;
	for (size_t at = 4; at + 2 <= size && value[at + 1] >= 2 && value[at + 1] <= size - at; at += value[at + 1])
		if (value[at] == AGENT_CIRCUIT_ID)
			text_keep(a->circuit, LEASE_ID, (const char *)value + at + 2, value[at + 1] - 2U);
}

void accounting_take(struct accounting *a, uint8_t type, const uint8_t *value, size_t size)
{
	const struct attribute *x = of_type(type);
	char *member = x && x->at != UNUSED ? (char *)a + x->at : NULL;
	struct lease_addr addr;
	uint32_t number;

	if (!x || !accounting_fits(type, value, size))
		return;
	number = size == 4 ? number_of(value) : 0;
	if (x->kind == TEXT)
		text_keep(member, LEASE_ID, (const char *)value, size);
	else if (x->kind == SERVER_IPV4 || x->kind == SERVER_IPV6)
		inet_ntop(x->kind == SERVER_IPV4 ? AF_INET : AF_INET6, value, member, LEASE_ID);
	else if (x->kind == ADDRESS)
		add_address(a, (addr = lease_addr_of(number), &addr));
	else if (x->kind == PREFIX)
		add_prefix(a, value + 2, size - 2, value[1]);
	else if (x->kind == IPV6)
		add_prefix(a, value, size, 128);
	else if (x->kind == VENDOR)
		take_vendor(a, value, size);
	else if (x->kind == STATUS)
		a->status = number;
	else if (x->kind == TIME)
		a->event = number;
	else if (member)
		memcpy(member, &number, sizeof(number));
}

static uint32_t status_of(const char *text)
{
	static const struct {
		const char *word;
		uint32_t status;
	} words[] = { { "Start", ACCOUNTING_START },
		      { "Stop", ACCOUNTING_STOP },
		      { "Interim-Update", ACCOUNTING_INTERIM },
		      { "Alive", ACCOUNTING_INTERIM },
		      { "Accounting-On", ACCOUNTING_ON },
		      { "Accounting-Off", ACCOUNTING_OFF } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, text))
			return words[i].status;
	return (uint32_t)strtoul(text, NULL, 10);
}

void accounting_take_text(struct accounting *a, const char *name, const char *value, size_t size)
{
	const struct attribute *x = attributes, *end = attributes + ARRAY_SIZE(attributes);
	struct lease_addr addr;
	uint32_t number;

	while (x < end && strcmp(x->name, name) != 0)
		x++;
	if (x == end)
		return;
	if (x->kind == TEXT || x->kind == SERVER_IPV4 || x->kind == SERVER_IPV6) {
		text_keep((char *)a + x->at, LEASE_ID, value, size);
	} else if (x->kind == ADDRESS || x->kind == PREFIX || x->kind == IPV6) {
		if (!lease_addr_parse(value, &addr))
			add_address(a, &addr);
	} else if (x->kind == STATUS) {
		a->status = status_of(value);
	} else if (x->kind == NUMBER && x->at != UNUSED) {
		number = (uint32_t)strtoul(value, NULL, 10);
		memcpy((char *)a + x->at, &number, sizeof(number));
	}
}
