/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4 addresses, prefixes, endpoints and interface names: from text, and back. Addresses are in host byte order. */
#ifndef DETNAT_ADDRESS_H
#define DETNAT_ADDRESS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct prefix {
	uint32_t base; /* host byte order, host bits cleared */
	uint8_t plen;
};

/* In place of the outside prefix of addresses that are not translated. */
#define PREFIX_NONE ((struct prefix){ 0, 255 })

static inline bool prefix_is_none(struct prefix p)
{
	return p.plen > 32;
}

static inline bool prefix_equal(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen;
}

struct endpoint {
	uint32_t addr; /* host byte order */
	uint16_t port;
};

static inline bool endpoint_equal(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

/* Consecutive ports of an address. */
struct port_span {
	uint32_t addr; /* host byte order */
	uint16_t first;
	uint16_t last;
};

/* Enough for "255.255.255.255/32" and for "255.255.255.255:65535". */
#define ADDR_TEXT 24

/* Writes an address in host byte order as dotted decimal and returns text. */
static inline const char *addr_format(uint32_t addr, char text[static ADDR_TEXT])
{
	snprintf(text, ADDR_TEXT, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
	return text;
}

/* As "a.b.c.d/len", or "none". */
static inline const char *prefix_format(uint32_t base, unsigned plen, char text[static ADDR_TEXT])
{
	if (plen > 32)
		snprintf(text, ADDR_TEXT, "none");
	else
		snprintf(text, ADDR_TEXT, "%u.%u.%u.%u/%u", base >> 24, base >> 16 & 255, base >> 8 & 255, base & 255,
			 plen);
	return text;
}

/* Writes "10.0.0.2:443" or "10.0.0.2:8000-8009" and returns text. */
#define SPAN_TEXT 40
const char *span_format(struct port_span span, char text[static SPAN_TEXT]);

/*
 * Whether the kernel accepts this name for an interface: 1 to 15 octets, no slash, colon, blank or control character.
 */
bool interface_name_valid(const char *name);

/* Strict dotted decimal without leading zeros, "a.b.c.d", "a.b.c.d/len" (masked) and "a.b.c.d:port". 0 or -EINVAL. */
int addr_parse(const char *text, uint32_t *ret_addr);
int prefix_parse(const char *text, struct prefix *ret);
int endpoint_parse(const char *text, struct endpoint *ret);

/* "a.b.c.d:port" or "a.b.c.d:first-last", without port 0, the last not below the first. 0 or -EINVAL. */
int span_parse(const char *text, struct port_span *ret);

#endif
