/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses, prefixes, endpoints and interface names from text, more strictly than inet_aton() and friends. */
#include <errno.h>
#include <string.h>

#include "config.h"

/*
 * Reads a decimal number of at most max at *at and moves *at behind it. No sign, no blanks, and no leading zeros, which
 * some readers take for octal.
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

int endpoint_parse(const char *text, struct endpoint *ret)
{
	uint32_t addr, port;

	if (addr_number_parse(text, ':', UINT16_MAX, &addr, &port) < 0)
		return -EINVAL;
	*ret = (struct endpoint){ .addr = addr, .port = (uint16_t)port };
	return 0;
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

int collector_parse(const char *text, struct config_collector *ret)
{
	struct config_collector c = { .transport = IPFIX_UDP };

	if (!strncmp(text, "tcp:", 4))
		c.transport = IPFIX_TCP;
	if (c.transport == IPFIX_TCP || !strncmp(text, "udp:", 4))
		text += 4;
	if (endpoint_parse(text, &c.at) < 0 || !c.at.port)
		return -EINVAL;
	*ret = c;
	return 0;
}

int collectors_parse(const char *text, struct config_collector ret[CONFIG_MAX_COLLECTORS], uint32_t *ret_n)
{
	struct config_collector list[CONFIG_MAX_COLLECTORS];
	uint32_t n = 0;
	bool more;

	do {
		char one[COLLECTOR_TEXT];
		size_t length = strcspn(text, ",");

		if (n == CONFIG_MAX_COLLECTORS)
			return -E2BIG;
		if (length >= sizeof(one))
			return -EINVAL;
		memcpy(one, text, length);
		one[length] = 0;
		if (collector_parse(one, &list[n]) < 0)
			return -EINVAL;
		for (uint32_t i = 0; i < n; i++)
			if (collector_same(list[i], list[n]))
				return -EEXIST;
		n++;
		more = text[length] == ',';
		text += length + 1;
	} while (more);
	memcpy(ret, list, n * sizeof(*list));
	*ret_n = n;
	return 0;
}

const char *collector_format(struct config_collector c, char text[static COLLECTOR_TEXT])
{
	char addr[ADDR_TEXT];

	snprintf(text, COLLECTOR_TEXT, "%s%s:%u", c.transport == IPFIX_TCP ? "tcp:" : "", addr_format(c.at.addr, addr),
		 c.at.port);
	return text;
}
