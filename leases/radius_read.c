/* SPDX-License-Identifier: BSD-2-Clause */
/* The attributes of an Accounting-Request that name the customer of an address. */
#include <string.h>

#include "radius.h"
#include "radius_attributes.h"

bool radius_lengths_fit(const uint8_t *packet, size_t size)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	while (radius_attribute_next(packet, size, &at, &a))
		if (!accounting_fits(a.type, a.value, a.size))
			return false;
	return true;
}

void radius_read(const uint8_t *packet, size_t size, const char *from, struct accounting *ret)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	*ret = (struct accounting){ 0 };
	snprintf(ret->from, sizeof(ret->from), "%s", from);
	while (radius_attribute_next(packet, size, &at, &a))
		accounting_take(ret, a.type, a.value, a.size);
}
