// SPDX-License-Identifier: BSD-2-Clause
/* An IPv4 address in a text. */
#include "complaints/complaint_private.h"

const char *addr_at(const char *at, const char *end, uint32_t *ret)
{
	uint32_t addr = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 0, value = 0;

		for (; at < end && digit_octet(*at) && n < 4; at++, n++)
			value = value * 10 + (unsigned)(*at - '0');
		/* "025" is 25 to some programs, and 21 to others. */
		if (!n || n > 3 || (n > 1 && at[-(int)n] == '0') || value > 255 ||
		    (i < 3 && (at >= end || *at++ != '.')))
			return NULL;
		addr = addr << 8 | value;
	}
	*ret = addr;
	return at;
}
