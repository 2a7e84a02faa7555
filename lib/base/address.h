/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4 addresses, prefixes, endpoints and interface names: from text, and back. Addresses are in host byte order. */
#ifndef DETNAT_ADDRESS_H
#define DETNAT_ADDRESS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <detnat/mapping.h>

/* A prefix, or, in a mapping, a range that is none: then plen is PLEN_RANGE. */
struct prefix {
	uint32_t base; /* first address, host byte order; of a prefix, host bits cleared */
	uint8_t plen;
	uint32_t last; /* last address of a range that is no prefix, 0: unknown; of a prefix 0 */
};

/* In place of the outside prefix of addresses that are not translated. */
#define PREFIX_NONE ((struct prefix){ 0, PLEN_NONE, 0 })

static inline bool prefix_is_none(struct prefix p)
{
	return p.plen == PLEN_NONE;
}

static inline bool prefix_is_range(struct prefix p)
{
	return p.plen == PLEN_RANGE;
}

static inline bool prefix_equal(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen && a.last == b.last;
}

/* The same where the ends of ranges may be unknown. */
static inline bool prefix_begins_alike(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen;
}

/* Addresses first..last as a prefix if they are one. */
static inline struct prefix prefix_of(uint32_t first, uint32_t last)
{
	uint8_t plen = mapping_plen(first, last - first);

	return (struct prefix){ first, plen, plen == PLEN_RANGE ? last : 0 };
}

/* Last address, and number of addresses, of a prefix or range; not of PREFIX_NONE. */
static inline uint32_t prefix_last(struct prefix p)
{
	return prefix_is_range(p) ? p.last : p.base | ~prefix_mask(p.plen);
}

static inline uint64_t prefix_count(struct prefix p)
{
	return (uint64_t)prefix_last(p) - p.base + 1;
}

/* Relations of prefixes and ranges; PREFIX_NONE has none. */
static inline bool prefix_holds(struct prefix p, uint32_t addr)
{
	return !prefix_is_none(p) && addr >= p.base && addr <= prefix_last(p);
}

static inline bool prefixes_overlap(struct prefix a, struct prefix b)
{
	return !prefix_is_none(a) && !prefix_is_none(b) && a.base <= prefix_last(b) && b.base <= prefix_last(a);
}

/* Whether a is b, or a part of it. */
static inline bool prefix_within(struct prefix a, struct prefix b)
{
	return prefixes_overlap(a, b) && a.base >= b.base && prefix_last(a) <= prefix_last(b);
}

/* Whether a is a part of b, and not all of it. */
static inline bool prefix_inside(struct prefix a, struct prefix b)
{
	return prefix_within(a, b) && !prefix_equal(a, b);
}

/* The lower (0) or upper (1) half of a prefix shorter than 32. */
static inline struct prefix prefix_half(struct prefix p, unsigned which)
{
	p.plen++;
	p.base |= which << (32 - p.plen);
	return p;
}

/* The inside and the outside addresses of a record. */
static inline struct prefix geometry_in(const struct geometry *g)
{
	return (struct prefix){ g->in_base, g->in_plen,
				g->in_plen == PLEN_RANGE ? g->in_base + g->last_subscriber : 0 };
}

static inline struct prefix geometry_out(const struct geometry *g)
{
	return (struct prefix){ g->out_base, g->out_plen, g->out_plen == PLEN_RANGE ? g->out_base + g->last_out : 0 };
}

/*
 * Cuts addresses into prefixes: the first one of first..last, as large as fits. Start again behind its last address
 * until that is `last`.
 */
static inline struct prefix prefix_first_of(uint32_t first, uint32_t last)
{
	struct prefix p = { first, 32, 0 };

	while (p.plen && !(first & (~prefix_mask(p.plen - 1U))) && (first | ~prefix_mask(p.plen - 1U)) <= last)
		p.plen--;
	return p;
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

/* Enough for "255.255.255.255/32", "255.255.255.255:65535" and "255.255.255.255-255.255.255.255". */
#define ADDR_TEXT 32

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

/* As "a.b.c.d/len", "a.b.c.d-e.f.g.h" or "none". */
static inline const char *prefix_text(struct prefix p, char text[static ADDR_TEXT])
{
	char first[ADDR_TEXT], last[ADDR_TEXT];

	if (!prefix_is_range(p))
		return prefix_format(p.base, p.plen, text);
	addr_format(p.last, last);
	/* A peer does not say where its ranges end. */
	snprintf(text, ADDR_TEXT, "%.15s-%.15s", addr_format(p.base, first), p.last < p.base ? "?" : last);
	return text;
}

/* Writes "10.0.0.2:443" or "10.0.0.2:8000-8009" and returns text. */
#define SPAN_TEXT 48
const char *span_format(struct port_span span, char text[static SPAN_TEXT]);

/*
 * Whether the kernel accepts this name for an interface: 1 to 15 octets, no slash, colon, blank or control character.
 */
bool interface_name_valid(const char *name);

/* Strict dotted decimal without leading zeros, "a.b.c.d", "a.b.c.d/len" (masked) and "a.b.c.d:port". 0 or -EINVAL. */
int addr_parse(const char *text, uint32_t *ret_addr);
int prefix_parse(const char *text, struct prefix *ret);
/* A prefix, or a range "a.b.c.d-e.f.g.h". */
int range_parse(const char *text, struct prefix *ret);
int endpoint_parse(const char *text, struct endpoint *ret);

/* "a.b.c.d:port" or "a.b.c.d:first-last", without port 0, the last not below the first. 0 or -EINVAL. */
int span_parse(const char *text, struct port_span *ret);

#endif
