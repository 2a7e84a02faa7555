// SPDX-License-Identifier: BSD-2-Clause
#include "base/address.h"
#include <errno.h>
#include <string.h>

#include <detnat/tables.h>

/*
 * Reads a decimal number of at most max at *at and advances *at. No sign, no blanks, and no leading zeros, which some
 * parsers take for octal.
 */
static int read_number(const char **at, uint32_t max, uint32_t *ret)
{
	const char *start = *at, *c = start;
	uint32_t n = 0;

	for (; *c >= '0' && *c <= '9'; c++) {
		n = n * 10 + (uint32_t)(*c - '0');
		if (n > max)
			return -EINVAL;
	}
	if (c == start || (*start == '0' && c - start > 1))
		return -EINVAL;
	*at = c;
	*ret = n;
	return 0;
}

static int read_addr(const char **at, uint32_t *ret)
{
	uint32_t addr = 0, octet;

	for (int i = 0; i < 4; i++) {
		if (i && *(*at)++ != '.')
			return -EINVAL;
		if (read_number(at, 255, &octet) < 0)
			return -EINVAL;
		addr = addr << 8 | octet;
	}
	*ret = addr;
	return 0;
}

int addr_parse(const char *text, uint32_t *ret_addr)
{
	uint32_t addr;

	if (read_addr(&text, &addr) < 0 || *text)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

/* "a.b.c.d", separator, number of at most max. */
static int addr_number_parse(const char *text, char separator, uint32_t max, uint32_t *ret_addr, uint32_t *ret_number)
{
	uint32_t addr, number;

	if (read_addr(&text, &addr) < 0 || *text++ != separator || read_number(&text, max, &number) < 0 || *text)
		return -EINVAL;
	*ret_addr = addr;
	*ret_number = number;
	return 0;
}

int prefix_parse(const char *text, struct prefix *ret)
{
	uint32_t addr, plen;

	if (addr_number_parse(text, '/', 32, &addr, &plen) < 0)
		return -EINVAL;
	*ret = (struct prefix){ .base = addr & prefix_mask(plen), .plen = (uint8_t)plen };
	return 0;
}

int range_parse(const char *text, struct prefix *ret)
{
	uint32_t first, last;

	if (!strchr(text, '-'))
		return prefix_parse(text, ret);
	if (read_addr(&text, &first) < 0 || *text++ != '-' || read_addr(&text, &last) < 0 || *text || last < first)
		return -EINVAL;
	*ret = prefix_of(first, last);
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret)
{
	uint32_t addr, port;

	if (addr_number_parse(text, ':', UINT16_MAX, &addr, &port) < 0)
		return -EINVAL;
	*ret = (struct endpoint){ .addr = addr, .port = (uint16_t)port };
	return 0;
}

int span_parse(const char *text, struct port_span *ret)
{
	uint32_t addr, first, last;

	if (read_addr(&text, &addr) < 0 || *text++ != ':' || read_number(&text, UINT16_MAX, &first) < 0)
		return -EINVAL;
	last = first;
	if (*text == '-' && (text++, read_number(&text, UINT16_MAX, &last) < 0))
		return -EINVAL;
	if (*text || !first || last < first)
		return -EINVAL;
	*ret = (struct port_span){ .addr = addr, .first = (uint16_t)first, .last = (uint16_t)last };
	return 0;
}

const char *span_format(struct port_span span, char text[static SPAN_TEXT])
{
	char addr[ADDR_TEXT];

	addr_format(span.addr, addr);
	if (span.first == span.last)
		snprintf(text, SPAN_TEXT, "%s:%u", addr, span.first);
	else
		snprintf(text, SPAN_TEXT, "%s:%u-%u", addr, span.first, span.last);
	return text;
}

bool interface_name_valid(const char *name)
{
	size_t length = strlen(name);

	if (!length || length >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (const char *c = name; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		if (byte <= ' ' || byte == 0x7f || byte == '/' || byte == ':')
			return false;
	}
	return true;
}
