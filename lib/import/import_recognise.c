// SPDX-License-Identifier: BSD-2-Clause
/* Which format a text is in, by words that only one of them has. */
#include <string.h>

#include "import/import_formats.h"

static const struct {
	enum import_format format;
	const char *text;
} signs[] = {
	{ IMPORT_JUNOS, "deterministic-port-block-allocation" },
	{ IMPORT_JUNOS, "deterministic-napt44" },
	{ IMPORT_JUNOS, "set services nat" },
	{ IMPORT_VPP, "inside-prefix" },
	{ IMPORT_VYOS, "nat cgnat pool" },
	{ IMPORT_VYOS, "nat cgnat rule" },
	{ IMPORT_VYOS, "per-user-limit {" },
	{ IMPORT_ROUTEROS, "/ip firewall nat" },
	{ IMPORT_ROUTEROS, "/ip/firewall/nat" },
	{ IMPORT_ROUTEROS, "chain=srcnat" },
	{ IMPORT_ROUTEROS, "action=src-nat" },
	{ IMPORT_ROUTEROS, "action=netmap" },
	{ IMPORT_FORTIOS, "config firewall ippool" },
	{ IMPORT_NOKIA, "deterministic prefix" },
	{ IMPORT_NOKIA, "deterministic prefix-map" },
	{ IMPORT_NOKIA, "first-outside-address" },
	{ IMPORT_NOKIA, "classic-lsn-sub" },
	{ IMPORT_NOKIA, "deterministic port-reservation" },
	{ IMPORT_H3C, "nat444 static local" },
	{ IMPORT_H3C, "port-block-group" },
	{ IMPORT_NFT, "table ip " },
	{ IMPORT_NFT, "table inet " },
	{ IMPORT_NFT, "add rule ip " },
	{ IMPORT_IPTABLES, "*nat" },
	{ IMPORT_IPTABLES, "-j SNAT" },
	{ IMPORT_IPTABLES, "-j NETMAP" },
	{ IMPORT_VPP, "det44 add" },
	{ IMPORT_VPP, "snat deterministic add" },
	{ IMPORT_VPP, "nat44 deterministic add" },
	{ IMPORT_VPP, "NAT44 deterministic mappings" },
	{ IMPORT_VPP, "nat deterministic mapping" },
};

static unsigned addresses(const char *line)
{
	unsigned n = 0, a, b, c, d;
	int used;

	while (*line) {
		line += strcspn(line, "0123456789");
		if (sscanf(line, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &used) == 4) {
			n++;
			line += used;
		}
		line += strspn(line, "0123456789");
	}
	return n;
}

/* A line that begins with an address, or has two, or a title that only tables have. */
static bool is_table(const struct import_text *text)
{
	const char *at = text->text, *end = at + text->size;

	for (unsigned line = 0; at < end && line < 200; line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
		unsigned a, b, c, d;
		char head[160];

		snprintf(head, sizeof(head), "%.*s", n < 159 ? (int)n : 159, at);
		if (sscanf(head, " %3u.%3u.%3u.%3u", &a, &b, &c, &d) == 4 || import_begins(head, "NAT Address:") ||
		    import_begins(head, "internal ip=") || addresses(head) == 2)
			return true;
		at += n + 1;
	}
	return false;
}

enum import_format import_recognise(const struct import_text *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (memmem(text->text, text->size, signs[i].text, strlen(signs[i].text)))
			return signs[i].format;
	return is_table(text) ? IMPORT_TABLE : IMPORT_AUTO;
}
