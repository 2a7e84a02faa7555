// SPDX-License-Identifier: BSD-2-Clause
/* Addresses that cannot be outside ones, as no router delivers what is sent to them to a gateway. */
#include "base/base.h"
#include "config/fields.h"

static const struct {
	struct prefix prefix;
	const char *what;
} undeliverable[] = {
	{ { 0x00000000, 8 }, "no host's addresses" },
	{ { 0xe0000000, 4 }, "multicast addresses" },
	{ { 0xffffffff, 32 }, "the broadcast address" },
};

bool pool_is_deliverable(struct prefix out, char why[static UNDELIVERABLE_TEXT])
{
	char text[ADDR_TEXT], other[ADDR_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(undeliverable) && !prefix_is_none(out); i++) {
		struct prefix p = undeliverable[i].prefix;

		if (!prefix_overlaps(out.base, out.plen, p.base, p.plen))
			continue;
		snprintf(why, UNDELIVERABLE_TEXT,
			 "%s overlaps %s, %s, which no router delivers: take addresses that are routed to the gateway",
			 prefix_format(out.base, out.plen, text), prefix_format(p.base, p.plen, other),
			 undeliverable[i].what);
		return false;
	}
	return true;
}
