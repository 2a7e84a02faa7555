/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/portmap_filters.h"

#include <string.h>

#include "base/address.h"

bool portmap_filters_add(struct portmap_filters *f, uint32_t addr, uint8_t plen, uint16_t port)
{
	const struct portmap_filter added = { .addr = addr & prefix_mask(plen), .port = port, .plen = plen };

	for (uint32_t i = 0; i < f->n; i++)
		if (!memcmp(&f->filter[i], &added, sizeof(added)))
			return true;
	if (f->n == MAX_PORTMAP_FILTERS)
		return false;
	f->filter[f->n++] = added;
	return true;
}

bool portmap_filters_equal(const struct portmap_filters *a, const struct portmap_filters *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool portmap_filters_valid(const struct portmap_filters *f)
{
	struct portmap_filters again = { 0 };

	if (!f->n || f->n > MAX_PORTMAP_FILTERS)
		return false;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct portmap_filter *one = &f->filter[i];

		if (one->plen > 32 || !portmap_filters_add(&again, one->addr, one->plen, one->port))
			return false;
	}
	return portmap_filters_equal(f, &again);
}

const char *portmap_filter_format(const struct portmap_filter *f, char text[static PORTMAP_FILTER_TEXT])
{
	char addr[ADDR_TEXT];

	if (f->plen == 32)
		addr_format(f->addr, addr);
	else
		prefix_format(f->addr, f->plen, addr);
	if (f->port)
		snprintf(text, PORTMAP_FILTER_TEXT, "%s:%u", addr, f->port);
	else
		snprintf(text, PORTMAP_FILTER_TEXT, "%s", addr);
	return text;
}
