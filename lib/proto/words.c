// SPDX-License-Identifier: BSD-2-Clause
#include "proto/words.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <detnat/portmaps.h>
#include <detnat/tables.h>

#include "base/notice.h"
#include "proto/verbs.h"

const struct word role_words[] = { { "inside", DEVICE_INSIDE }, { "outside", DEVICE_OUTSIDE }, {} };
const struct word side_words[] = { { "in", DEVICE_INSIDE }, { "out", DEVICE_OUTSIDE }, {} };
const struct word proto_words[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "icmp", IPPROTO_ICMP }, {} };
const struct word binding_words[] = {
	{ "udp", BINDING_UDP },
	{ "tcp", BINDING_TCP },
	{ "icmp", BINDING_ICMP },
	{},
};
const struct word origin_words[] = {
#define X(constant, word) { word, constant },
	PORTMAP_ORIGINS(X)
#undef X
		{},
};
const struct word portmap_words[] = {
	{ "tcp", PORTMAP_OF_TCP },
	{ "udp", PORTMAP_OF_UDP },
	{ "both", PORTMAP_OF_BOTH },
	{},
};
const struct word fate_words[] = { { "move", PORTMAPS_MOVE }, { "delete", PORTMAPS_DELETE }, {} };
const struct word order_words[] = {
	{ "sessions", TOP_BY_SESSIONS },
	{ "quota", TOP_BY_QUOTA },
	{ "rate", TOP_BY_RATE },
	{ "half-open", TOP_BY_HALF_OPEN },
	{ "destinations", TOP_BY_DESTINATIONS },
	{ "inbound", TOP_BY_INBOUND },
	{},
};
const struct word inbound_words[] = { { "sessions", INBOUND_SESSIONS }, { "open", INBOUND_OPEN }, {} };
const struct word block_order_words[] = { { "sequential", 0 }, { "netmap", 1 }, {} };
const struct word notice_words[] = {
	{ "refusals", NOTICE_REFUSALS },
	{ "mappings", NOTICE_MAPPINGS },
	{ "interfaces", NOTICE_INTERFACES },
	{ "troubles", NOTICE_TROUBLES },
	{ "peers", NOTICE_PEERS },
	{ "leases", NOTICE_LEASES },
	{ "grants", NOTICE_GRANTS },
	{ "attacks", NOTICE_ATTACKS },
	{ "suspects", NOTICE_SUSPECTS },
	{ "sessions", NOTICE_SESSIONS },
	{},
};
const struct word lease_words[] = {
#define X(constant, word) { word, FORMAT_##constant },
	LEASE_FORMATS(X)
#undef X
		{},
};
const struct word import_format_words[] = {
	{ "auto", IMPORT_AUTO },       { "table", IMPORT_TABLE }, { "routeros", IMPORT_ROUTEROS },
	{ "vpp", IMPORT_VPP },	       { "vyos", IMPORT_VYOS },	  { "junos", IMPORT_JUNOS },
	{ "fortios", IMPORT_FORTIOS }, { "nft", IMPORT_NFT },	  { "iptables", IMPORT_IPTABLES },
	{ "nokia", IMPORT_NOKIA },     { "h3c", IMPORT_H3C },	  {},
};
const struct word whether_words[] = { { "yes", 1 }, { "no", 0 }, {} };
const struct word state_words[] = {
	{ "udp-active", 0 },	  { "icmp-active", 0 },	   { "tcp-syn-sent", 0 },   { "tcp-syn-received", 0 },
	{ "tcp-established", 0 }, { "tcp-fin-wait", 0 },   { "tcp-close-wait", 0 }, { "tcp-last-ack", 0 },
	{ "tcp-time-wait", 0 },	  { "tcp-transitory", 0 }, { "tcp-reset", 0 },	    {},
};

int word_number(const struct word *words, const char *text, uint32_t *ret)
{
	for (; words->text; words++) {
		if (!strcmp(words->text, text)) {
			*ret = words->number;
			return 0;
		}
	}
	return -EINVAL;
}

const char *word_text(const struct word *words, uint32_t number)
{
	while (words->text && words->number != number)
		words++;
	return words->text;
}

const char *roles_text(uint32_t roles)
{
	return roles == (DEVICE_INSIDE | DEVICE_OUTSIDE) ? "both" : word_text(role_words, roles);
}

void words_join(const struct word *words, const char *between, const char *last, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (; words->text && n < size; words++)
		n += (size_t)snprintf(text + n, size - n, "%s%s", words->text,
				      !words[1].text  ? ""
				      : words[2].text ? between
						      : last);
}
